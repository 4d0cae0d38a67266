"""Many rows in one statement: the driver's own `executemany`, with the values made ready by column.

SQLAlchemy's way of it costs more than the database does. The same holds for looking up many keys: an IN list
is rendered anew for every batch, one array is not.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

from pydantic_core import from_json
from sqlalchemy import JSON, Boolean, Dialect, Uuid
from sqlmodel import Session

from services.metrics.tables import MetricsTable, columns, table, upsert
from services.shared.clock import from_micros
from services.shared.database import Moment
from services.shared.database.rows import Convert, converter_of, hex_of
from services.shared.database.types import write_json
from services.shared.ids import uuid_of

OnConflict = Callable[[Any], Any]


class Bulk:
    """Inserts rows given as tuples in the order of `names`; `on_conflict` completes the statement."""

    def __init__(
        self,
        model: type[MetricsTable],
        names: Sequence[str],
        on_conflict: OnConflict = lambda statement: statement,
    ) -> None:
        self._model = model
        self._names = tuple(names)
        self._on_conflict = on_conflict
        self._ready: dict[str, tuple[str, list[tuple[int, Convert | None]]]] = {}

    def write(self, session: Session, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows as part of the session's transaction."""
        if not rows:
            return
        dialect = session.get_bind().dialect
        sql, sources = self._ready.get(dialect.name) or self._prepare(session, dialect)
        given = list(zip(*rows, strict=True))
        by_column = [
            given[index]
            if convert is None
            else [None if value is None else convert(value) for value in given[index]]
            for index, convert in sources
        ]
        session.connection().exec_driver_sql(sql, list(zip(*by_column, strict=True)))

    def _prepare(
        self, session: Session, dialect: Dialect
    ) -> tuple[str, list[tuple[int, Convert | None]]]:
        statement = self._on_conflict(upsert(session, self._model))
        compiled = statement.compile(dialect=dialect, column_keys=list(self._names))
        known = columns(self._model)
        sources = [
            (self._names.index(name), converter_of(known[name].type, dialect.name))
            for name in compiled.positiontup
        ]
        self._ready[dialect.name] = (str(compiled), sources)
        return self._ready[dialect.name]


class Lookup:
    """Reads `names` of the rows whose column `by` is one of many keys, as tuples, by one raw statement."""

    def __init__(self, model: type[MetricsTable], names: Sequence[str], by: str) -> None:
        self._model = model
        self._names = tuple(names)
        self._by = by
        self._ready: dict[str, tuple[str, Convert, list[Convert | None]]] = {}

    def rows(
        self, session: Session, keys: Collection[Any], *, lock: bool = False
    ) -> Iterable[tuple[Any, ...]]:
        """The rows, in no order. `lock` keeps other transactions from changing or locking them."""
        if not keys:
            return ()
        dialect = session.get_bind().dialect.name
        sql, key, converters = self._ready.get(dialect) or self._prepare(dialect)
        if dialect == "sqlite":
            given: Any = write_json([key(one) for one in keys])
        else:
            given = list(keys)
            if lock:
                sql = f"{sql} ORDER BY {self._by} FOR UPDATE"
        found = session.connection().exec_driver_sql(sql, (given,)).fetchall()
        if not found:
            return ()
        return zip(*_converted(zip(*found, strict=True), converters), strict=True)

    def _prepare(self, dialect: str) -> tuple[str, Convert, list[Convert | None]]:
        known = columns(self._model)
        uuid = isinstance(known[self._by].type, Uuid)
        if dialect == "sqlite":
            among = "IN (SELECT value FROM json_each(?))"
        else:
            among = f"= ANY($1::{'uuid' if uuid else 'varchar'}[])"
        names = ", ".join(f'"{name}"' for name in self._names)
        sql = f'SELECT {names} FROM {table(self._model).name} WHERE "{self._by}" {among}'  # noqa: S608
        key: Convert = hex_of if uuid else str
        converters = [_reader(known[name].type, dialect) for name in self._names]
        self._ready[dialect] = (sql, key, converters)
        return self._ready[dialect]


def _converted(
    by_column: Iterable[Sequence[Any]], converters: Sequence[Convert | None]
) -> Iterator[Sequence[Any]]:
    for values, convert in zip(by_column, converters, strict=True):
        if convert is None:
            yield values
        else:
            yield [None if value is None else convert(value) for value in values]


def _reader(kind: Any, dialect: str) -> Convert | None:
    """How what the driver gives becomes a value of the column; None: it is one."""
    if dialect == "sqlite":
        if isinstance(kind, JSON):
            return from_json
        if isinstance(kind, Moment):
            return from_micros
        if isinstance(kind, Uuid):
            return uuid_of
        if isinstance(kind, Boolean):
            return bool
    return None

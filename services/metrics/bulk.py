"""Many rows in one statement: the driver's own `executemany`, with the values made ready by column.

SQLAlchemy's way of it costs more than the database does. The same holds for looking up many keys: an IN list
is rendered anew for every batch, one array is not.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Dialect, Uuid
from sqlmodel import Session

from services.metrics.tables import MetricsTable, columns, table, upsert
from services.shared.database import arrays, driver
from services.shared.database.rows import Convert, converted, converter_of, hex_of, reader_of
from services.shared.database.types import write_json

OnConflict = Callable[[Any], Any]


class Bulk:
    """Inserts rows given as tuples in the order of `names`; `on_conflict` completes the statement.

    Where that updates, no two rows have the same key.
    """

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
            given[index] if convert is None else converted(given[index], convert, nullable=True)
            for index, convert in sources
        ]
        if dialect.name == "postgresql":
            arrays.run(session.connection(), sql, by_column)
        else:
            driver.change_each(session.connection(), sql, list(zip(*by_column, strict=True)))

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
        sql = str(compiled)
        if dialect.name == "postgresql":
            sql = arrays.of_arrays(sql, [known[name] for name in compiled.positiontup], dialect)
        self._ready[dialect.name] = (sql, sources)
        return self._ready[dialect.name]


class Query:
    """Reads `names` of a table's rows by one raw statement, as tuples.

    `rest` is what follows FROM and the table, with `{}` for each parameter; `takes` names for each the column
    that it is compared with. An array of keys is taken as `among(column)`, which `rest` has as a parameter alone.
    """

    def __init__(
        self, model: type[MetricsTable], names: Sequence[str], rest: str, takes: Sequence[str]
    ) -> None:
        self._model = model
        self._names = tuple(names)
        self._rest = rest
        self._takes = tuple(takes)
        self._ready: dict[str, tuple[str, list[Convert], list[Convert | None]]] = {}

    def rows(self, session: Session, *given: Any, locked: str = "") -> Iterable[tuple[Any, ...]]:
        """The rows. `locked` ends the statement where rows can be locked one by one."""
        dialect = session.get_bind().dialect.name
        sql, ready, converters = self._ready.get(dialect) or self._prepare(dialect)
        if locked and dialect != "sqlite":
            sql = f"{sql} {locked}"
        values = [convert(value) for convert, value in zip(ready, given, strict=True)]
        found = driver.fetch(session.connection(), sql, values)
        if not found:
            return ()
        by_column = [
            values if convert is None else converted(values, convert, nullable=True)
            for values, convert in zip(zip(*found, strict=True), converters, strict=True)
        ]
        return zip(*by_column, strict=True)

    def _prepare(self, dialect: str) -> tuple[str, list[Convert], list[Convert | None]]:
        known = columns(self._model)
        places, ready = [], []
        for number, name in enumerate(self._takes, 1):
            place, convert = _parameter(name, known, dialect, number)
            places.append(place)
            ready.append(convert)
        names = ", ".join(f'"{name}"' for name in self._names)
        rest = self._rest.format(*places)
        sql = f"SELECT {names} FROM {table(self._model).name} {rest}"  # noqa: S608
        converters = [
            reader_of(known[name].type) if dialect == "sqlite" else None for name in self._names
        ]
        self._ready[dialect] = (sql, ready, converters)
        return self._ready[dialect]


_MANY = "many "


def among(column: str) -> str:
    """A parameter that is an array of keys, one of which the column has to be: `"column" {}`."""
    return _MANY + column


def _parameter(name: str, known: Any, dialect: str, number: int) -> tuple[str, Convert]:
    """How a parameter stands in a statement, and what makes its values ready; "": they are."""
    place = "?" if dialect == "sqlite" else f"${number}"
    if not name.startswith(_MANY):
        convert = converter_of(known[name].type, dialect) if name else None
        return place, convert or _as_it_is
    uuid = isinstance(known[name.removeprefix(_MANY)].type, Uuid)
    if dialect == "sqlite":
        key: Convert = hex_of if uuid else str
        return f"IN (SELECT value FROM json_each({place}))", partial(_array, key)  # noqa: S608
    return f"= ANY({place}::{'uuid' if uuid else 'varchar'}[])", list


def _array(key: Convert, values: Collection[Any]) -> str:
    return write_json([key(value) for value in values])


def _as_it_is(value: Any) -> Any:
    return value


class Lookup:
    """Reads `names` of the rows whose column `by` is one of many keys, as tuples, by one raw statement."""

    def __init__(self, model: type[MetricsTable], names: Sequence[str], by: str) -> None:
        self._by = by
        self._query = Query(model, names, f'WHERE "{by}" {{}}', (among(by),))

    def rows(
        self, session: Session, keys: Collection[Any], *, lock: bool = False
    ) -> Iterable[tuple[Any, ...]]:
        """The rows, in no order. `lock` keeps other transactions from changing or locking them."""
        if not keys:
            return ()
        locked = f"ORDER BY {self._by} FOR UPDATE" if lock else ""
        return self._query.rows(session, keys, locked=locked)


class Removal:
    """Deletes the rows whose column `by` is one of many keys."""

    def __init__(self, model: type[MetricsTable], by: str) -> None:
        self._model = model
        self._by = by

    def run(self, session: Session, keys: Collection[Any]) -> None:
        """Delete them as part of the session's transaction."""
        if not keys:
            return
        dialect = session.get_bind().dialect.name
        place, ready = _parameter(among(self._by), columns(self._model), dialect, 1)
        sql = f'DELETE FROM {table(self._model).name} WHERE "{self._by}" {place}'  # noqa: S608
        driver.change(session.connection(), sql, (ready(keys),))

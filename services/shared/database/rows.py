"""Many rows in one statement: the driver's own `executemany`, or arrays on PostgreSQL, ready by column.

SQLAlchemy's handling of each row's parameters costs more than SQLite's writing of the row.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Dialect, TableClause, Uuid
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.shared.clock import from_micros, to_micros
from services.shared.database import arrays, driver
from services.shared.database.types import Moment, read_json, write_json
from services.shared.ids import uuid_of

Convert = Callable[[Any], Any]


class RowWriter:
    """Inserts rows, given as tuples in the order of `names`, into a table; other columns get NULL.

    `missing`: but those that are there already.
    """

    def __init__(self, table: TableClause, *names: str, missing: bool = False) -> None:
        self._table = table
        self._names = names
        self._missing = missing
        self._ready: dict[str, tuple[str, list[tuple[int, Convert | None, bool]]]] = {}

    def write(self, session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows as part of the session's transaction."""
        if not rows:
            return
        connection = session.connection()
        dialect = connection.dialect
        sql, sources = self._ready.get(dialect.name) or self._prepare(dialect)
        given = list(zip(*rows, strict=True))
        by_column = [
            given[index] if convert is None else converted(given[index], convert, nullable)
            for index, convert, nullable in sources
        ]
        if dialect.name == "postgresql":
            arrays.run(connection, sql, by_column)
        else:
            driver.change_each(connection, sql, list(zip(*by_column, strict=True)))

    def _prepare(self, dialect: Dialect) -> tuple[str, list[tuple[int, Convert | None, bool]]]:
        insert = insert_postgresql if dialect.name == "postgresql" else insert_sqlite
        statement: Any = insert(self._table)
        if self._missing:
            statement = statement.on_conflict_do_nothing()
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(self._names))
        sources = [
            (
                self._names.index(name),
                converter_of(self._table.c[name].type, dialect.name),
                # a table that was only named says nothing of it: it has no such column
                getattr(self._table.c[name], "nullable", False),
            )
            for name in compiled.positiontup
        ]
        sql = str(compiled)
        if dialect.name == "postgresql":
            sql = arrays.of_arrays(
                sql, [self._table.c[name] for name in compiled.positiontup], dialect
            )
        self._ready[dialect.name] = sql, sources
        return self._ready[dialect.name]


def converted(values: Iterable[Any], convert: Convert, nullable: bool) -> Iterable[Any]:
    """The values of one column, made ready."""
    if nullable:
        return [None if value is None else convert(value) for value in values]
    return map(convert, values)


def converter_of(kind: Any, dialect: str) -> Convert | None:
    """How a column's values are made ready for the driver; None: they are as they should be."""
    if isinstance(kind, JSON):
        return write_json
    if dialect == "sqlite":
        if isinstance(kind, Moment):
            return to_micros
        if isinstance(kind, Uuid):
            return hex_of
    return None


def reader_of(kind: Any) -> Convert | None:
    """How what SQLite's driver gives, which is not None, becomes a value of a column; None: it is one."""
    if isinstance(kind, JSON):
        return read_json
    if isinstance(kind, Moment):
        return from_micros
    if isinstance(kind, Uuid):
        return uuid_of
    return bool if isinstance(kind, Boolean) else None


def hex_of(value: UUID) -> str:
    """A UUID as SQLite keeps it."""
    return value.hex

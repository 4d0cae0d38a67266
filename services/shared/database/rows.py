"""Many rows in one statement: the driver's own `executemany`, with the values made ready by column.

SQLAlchemy's handling of each row's parameters costs more than SQLite's writing of the row.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Dialect, TableClause, Uuid, insert
from sqlmodel import Session

from services.shared.clock import to_micros
from services.shared.database.types import Moment, write_json

Convert = Callable[[Any], Any]


class RowWriter:
    """Inserts rows, given as tuples in the order of `names`, into a table; other columns get NULL."""

    def __init__(self, table: TableClause, *names: str) -> None:
        self._table = table
        self._names = names
        self._ready: dict[str, tuple[str, list[tuple[int, Convert | None]]]] = {}

    def write(self, session: Session, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert the rows as part of the session's transaction. Values that need converting are never None."""
        if not rows:
            return
        connection = session.connection()
        dialect = connection.dialect
        sql, sources = self._ready.get(dialect.name) or self._prepare(dialect)
        given = list(zip(*rows, strict=True))
        by_column = [
            given[index] if convert is None else map(convert, given[index])
            for index, convert in sources
        ]
        connection.exec_driver_sql(sql, list(zip(*by_column, strict=True)))

    def _prepare(self, dialect: Dialect) -> tuple[str, list[tuple[int, Convert | None]]]:
        statement = insert(self._table)
        compiled: Any = statement.compile(dialect=dialect, column_keys=list(self._names))
        sources = [
            (self._names.index(name), converter_of(self._table.c[name].type, dialect.name))
            for name in compiled.positiontup
        ]
        self._ready[dialect.name] = str(compiled), sources
        return self._ready[dialect.name]


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


def hex_of(value: UUID) -> str:
    """A UUID as SQLite keeps it."""
    return value.hex

"""Statements of hot paths, made ready once and handed to the driver as they are."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Connection
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from services.shared.database import driver
from services.shared.database.rows import Convert, converter_of, reader_of


class Ready:
    """A statement of a hot path, made ready once. One per dialect, kept.

    It is handed to the driver as it is: SQLAlchemy's way to it costs more than the statement (100 µs where other
    work has taken the caches). IN lists must be written out, as in `standing_in`.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._sql = ""
        self._sources: list[tuple[str, Any, Convert | None]] = []
        self._readers: list[Convert | None] = []

    def rows(self, session: Session, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What it selects or returns, converted as the columns' types say."""
        connection = session.connection()
        values = self._values(connection, parameters)
        found = driver.fetch(connection, self._sql, values)
        if not found:
            return []
        columns = zip(*found, strict=True)
        read = [
            column if reader is None else map(reader, column)
            for reader, column in zip(self._readers, columns, strict=True)
        ]
        return list(zip(*read, strict=True))

    def run(self, session: Session, parameters: Mapping[str, Any]) -> int:
        """Run a statement that returns nothing; how many rows it changed."""
        connection = session.connection()
        values = self._values(connection, parameters)
        return driver.change(connection, self._sql, values)

    def _values(self, connection: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        if not self._sql:
            self._prepare(connection.dialect)
        values = []
        for name, value, convert in self._sources:
            given = parameters.get(name, value)
            values.append(given if convert is None or given is None else convert(given))
        return values

    def _prepare(self, dialect: Any) -> None:
        compiled = self._statement.compile(dialect=dialect)
        self._sources = [
            (name, compiled.params[name], converter_of(compiled.binds[name].type, dialect.name))
            for name in compiled.positiontup
        ]
        # PostgreSQL's driver gives values as they should be
        self._readers = [
            _reader(column.type) if dialect.name == "sqlite" else None
            for column in self._statement.exported_columns
        ]
        self._sql = str(compiled)


def _reader(kind: TypeEngine[Any]) -> Convert | None:
    """How a value of SQLite becomes one of Python; the last one is remembered, as rows share many."""
    read = reader_of(kind)
    if read is None:
        return None
    if isinstance(kind, JSON):  # a document can be changed by who has it: never the same one twice
        return lambda value: None if value is None else read(value)
    last: tuple[Any, Any] = (None, None)

    def remembering(value: Any) -> Any:
        nonlocal last
        known = last
        if value == known[0]:
            return known[1]
        if value is None:
            return None
        made = read(value)
        last = (value, made)
        return made

    return remembering

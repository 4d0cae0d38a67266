"""A set of rows handed to one statement: a JSON text on SQLite, one array per column on PostgreSQL.

The statement's text does not change with the number of rows, so it is compiled once; and a row's own
values take part in joins, which an `executemany` can't say. SQLite takes a JSON list of rows apart anew for
each of their columns: what is hot has one column, or two (`PairSet`), and binds once what its rows share.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    ColumnElement,
    Date,
    FromClause,
    TableValuedAlias,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from services.shared.database.base import Dialect
from services.shared.database.rows import Convert, converted, converter_of, reader_of
from services.shared.database.types import write_json


class RowSet:
    """Rows as a table with the given columns; make one per statement and dialect, and keep it."""

    def __init__(self, dialect: Dialect, name: str, **columns: TypeEngine[Any]) -> None:
        self._dialect = dialect
        self._name = name
        self._names = tuple(columns)
        self._converters = [_plain(kind) for kind in columns.values()]
        self.table: FromClause = (
            _arrays(name, columns) if dialect == "postgresql" else _json(name, columns)
        )

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        return self.table.c[name]

    def bind(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """The parameters that stand for `rows`; their values are in the order of the columns."""
        turned = list(zip(*rows, strict=True)) or [()] * len(self._names)
        if self._dialect == "sqlite":
            plain = [
                values if convert is None else converted(values, convert, nullable=True)
                for values, convert in zip(turned, self._converters, strict=True)
            ]
            listed = plain[0] if len(plain) == 1 else list(zip(*plain, strict=True))
            return {self._name: write_json(listed)}
        return {
            f"{self._name}_{name}": list(values)
            for name, values in zip(self._names, turned, strict=True)
        }


class PairSet:
    """Rows of two columns, the first an id: on SQLite one JSON object, which is read without taking it apart."""

    def __init__(
        self, dialect: Dialect, name: str, key: str, value: str, kind: TypeEngine[Any]
    ) -> None:
        self._dialect = dialect
        self._name = name
        self._columns = (key, value)
        if dialect == "postgresql":
            self.table: FromClause = _arrays(name, {key: Uuid(), value: kind})
        else:
            each = _each(name, "key", "value")
            self.table = select(
                type_coerce(each.c.key, Uuid()).label(key),
                type_coerce(each.c.value, kind).label(value),
            ).subquery(name)

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        return self.table.c[name]

    def bind(self, rows: Sequence[tuple[UUID, Any]]) -> dict[str, Any]:
        """The parameters that stand for `rows`."""
        if self._dialect == "postgresql":
            given = zip(self._columns, zip(*rows, strict=True), strict=True)
            return {f"{self._name}_{name}": list(values) for name, values in given}
        # by hand: an id may come twice, in an object of Python's it would not
        pairs = [f'"{id_.hex}":{_json_of(value)}' for id_, value in rows]
        return {self._name: "{" + ",".join(pairs) + "}"}


def _json_of(value: UUID | str | None) -> str:
    if value is None:
        return "null"
    return f'"{value.hex}"' if isinstance(value, UUID) else encode_basestring_ascii(value)


def _each(name: str, *columns: str) -> TableValuedAlias:
    each = func.json_each(bindparam(name, type_=Text))
    return each.table_valued(*columns, name=f"{name}_each")


def _json(name: str, columns: dict[str, TypeEngine[Any]]) -> FromClause:
    each = _each(name, "value")
    if len(columns) == 1:
        ((column_name, kind),) = columns.items()
        return select(type_coerce(each.c.value, kind).label(column_name)).subquery(name)
    return select(
        *[
            type_coerce(
                func.json_extract(each.c.value, literal_column(f"'$[{place}]'")), kind
            ).label(column_name)
            for place, (column_name, kind) in enumerate(columns.items())
        ]
    ).subquery(name)


def _arrays(name: str, columns: dict[str, TypeEngine[Any]]) -> FromClause:
    arrays = [
        bindparam(f"{name}_{column_name}", type_=ARRAY(kind))
        for column_name, kind in columns.items()
    ]
    return (
        func.unnest(*arrays)
        .table_valued(*[column(column_name, kind) for column_name, kind in columns.items()])
        .render_derived(name=name)
    )


def _plain(kind: TypeEngine[Any]) -> Convert | None:
    """How a column's values are written into the JSON text."""
    return date.isoformat if isinstance(kind, Date) else converter_of(kind, "sqlite")


class Ready:
    """A statement of a hot path, made ready once. One per dialect, kept.

    SQLite's is handed to the driver as it is: SQLAlchemy's way to it costs more than the statement (100 µs
    where other work has taken the caches). IN lists must be written out, as in `standing_in`.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._sql = ""
        self._sources: list[tuple[str, Any, Convert | None]] = []
        self._readers: list[Convert | None] = []

    def rows(self, session: Session, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What it selects or returns, converted as the columns' types say."""
        if dialect_of(session) == "postgresql":
            return [tuple(row) for row in session.execute(self._statement, parameters)]
        found = self._run(session, parameters).fetchall()
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
        if dialect_of(session) == "postgresql":
            result: Any = session.execute(self._statement, parameters)
            return int(result.rowcount)
        return int(self._run(session, parameters).rowcount)

    def _run(self, session: Session, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        connection = session.connection()
        if not self._sql:
            self._prepare(connection.dialect)
        values = []
        for name, value, convert in self._sources:
            given = parameters.get(name, value)
            values.append(given if convert is None or given is None else convert(given))
        driver: Any = connection.connection.dbapi_connection
        try:
            found: sqlite3.Cursor = driver.execute(self._sql, values)
        except sqlite3.Error as error:
            # as SQLAlchemy would raise it, so that the port can tell what it means
            raise DBAPIError.instance(
                self._sql, None, error, sqlite3.Error, hide_parameters=True
            ) from error
        return found

    def _prepare(self, dialect: Any) -> None:
        compiled = self._statement.compile(dialect=dialect)
        self._sources = [
            (name, compiled.params[name], converter_of(compiled.binds[name].type, "sqlite"))
            for name in compiled.positiontup
        ]
        self._readers = [_reader(column.type) for column in self._statement.exported_columns]
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


@cache
def _dialect(name: str) -> Dialect:
    return "postgresql" if name == "postgresql" else "sqlite"


def dialect_of(session: Session) -> Dialect:
    """Which of the two databases a session speaks to."""
    return _dialect(session.get_bind().dialect.name)

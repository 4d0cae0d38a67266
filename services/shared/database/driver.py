"""Statements handed to the driver as they are, inside the transaction of a connection.

SQLAlchemy's way to a statement costs more than a short statement does, on either database (60 to 100 µs on PostgreSQL).
Values are as the driver takes them and rows as it gives them: `rows.py` makes them ready.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util.concurrency import await_

Values = Sequence[Any]


def fetch(connection: Connection, sql: str, values: Values) -> list[Any]:
    """The rows of a statement, each to be taken as a tuple."""
    if connection.dialect.name == "postgresql":
        rows, _ = _ask(connection, sql, values)
        return rows
    try:
        return _sqlite(connection).execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise _as_sqlalchemy_would(sql, error) from error


def change(connection: Connection, sql: str, values: Values) -> int:
    """Run a statement that returns nothing; how many rows it changed."""
    if connection.dialect.name == "postgresql":
        _, status = _ask(connection, sql, values)
        return int(status.rpartition(" ")[2])  # "INSERT 0 5", "UPDATE 5"
    try:
        return int(_sqlite(connection).execute(sql, values).rowcount)
    except sqlite3.Error as error:
        raise _as_sqlalchemy_would(sql, error) from error


def change_each(connection: Connection, sql: str, rows: Sequence[Values]) -> int:
    """Run a statement once for each row, on SQLite (PostgreSQL takes arrays); how many rows it changed."""
    try:
        return int(_sqlite(connection).executemany(sql, rows).rowcount)
    except sqlite3.Error as error:
        raise _as_sqlalchemy_would(sql, error) from error


def _sqlite(connection: Connection) -> sqlite3.Connection:
    found: Any = connection.connection.dbapi_connection
    assert isinstance(found, sqlite3.Connection)
    return found


def _as_sqlalchemy_would(sql: str, error: sqlite3.Error) -> DBAPIError:
    """The error as SQLAlchemy raises it, so that the port can tell what it means."""
    found = DBAPIError.instance(sql, None, error, sqlite3.Error, hide_parameters=True)
    assert isinstance(found, DBAPIError)
    return found


def _ask(connection: Connection, sql: str, values: Values) -> tuple[list[Any], str]:
    dialect: Any = connection.dialect
    adapted: Any = connection.connection.dbapi_connection
    since = dialect._invalidate_schema_cache_asof
    try:
        found: tuple[list[Any], str] = await_(_answer(adapted, sql, values, since))
    except BaseException as error:
        # as SQLAlchemy does after its own statements: plans that are out of date and connections that broke are given up
        if isinstance(error, adapted.dbapi.InvalidCachedStatementError):
            dialect._invalidate_schema_cache()
        handle: Any = connection._handle_dbapi_exception
        handle(error, None, None, None, None)
        raise
    return found


async def _answer(adapted: Any, sql: str, values: Values, since: float) -> tuple[list[Any], str]:
    """What SQLAlchemy's cursor on asyncpg does: begin where nothing has begun, prepare once, execute."""
    async with adapted._execute_mutex:
        if adapted._transaction is None:
            await adapted._start_transaction()
        try:
            statement, _ = await adapted._prepare(sql, since)
            return await statement.fetch(*values), statement.get_statusmsg()
        except Exception as error:  # it is raised again, translated
            adapted._handle_exception(error)
            raise

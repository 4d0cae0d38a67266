"""SQLite: one file per service, WAL, `synchronous=FULL`, one writer in the loop thread.

A short transaction runs inline: no thread, no lock, no await between begin and commit. Reads that may
take long run on read-only connections in a small thread pool and are interrupted at their deadline.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlmodel import Session

from services.shared.database.base import WAKE, Dialect, Work
from services.shared.errors import DatabaseUnavailable, SetupError

T = TypeVar("T")

_SCAN_THREADS = 2


class SqliteDatabase:
    """One SQLite file. Made and used in one event loop."""

    def __init__(self, path: Path, *, synchronous: str = "FULL") -> None:
        self._path = path
        self._writer = _engine(path, synchronous)
        self._readers = _reader_engine(path)
        self._threads: ThreadPoolExecutor | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def dialect(self) -> Dialect:
        return "sqlite"

    @property
    def writer(self) -> Engine:
        """The engine behind it, for migrations."""
        return self._writer

    async def transaction(self, work: Work[T]) -> T:
        try:
            with Session(self._writer, expire_on_commit=False, autoflush=False) as session:
                result = work(session)
                session.commit()
                wake = session.info.pop(WAKE, False)
        except OperationalError as error:
            raise DatabaseUnavailable from error
        if wake:
            for listener in self._listeners:
                listener()
        return result

    async def read(self, work: Work[T]) -> T:
        return self._read(work)

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_SCAN_THREADS, thread_name_prefix="scan")
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._read, work, seconds
        )

    def _read(self, work: Work[T], seconds: float | None = None) -> T:
        try:
            with Session(self._readers, expire_on_commit=False) as session:
                if seconds is None:
                    return work(session)
                connection: Any = session.connection().connection.dbapi_connection
                timer = Timer(seconds, connection.interrupt)
                timer.start()
                try:
                    return work(session)
                finally:
                    timer.cancel()
        except OperationalError as error:
            raise DatabaseUnavailable from error

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._readers.dispose()
        self._writer.dispose()


def _engine(path: Path, synchronous: str) -> Engine:
    """The one writing connection: every transaction takes the write lock at its start."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": 5.0, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: Any) -> None:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            raise SetupError(
                f"{path} can't be opened ({error}): is another process using it?"
            ) from error
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA cache_size=-16000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _reader_engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///file:{path}?mode=ro&uri=true",
        poolclass=QueuePool,
        pool_size=_SCAN_THREADS + 1,
        connect_args={"check_same_thread": False, "timeout": 5.0, "isolation_level": None},
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def is_unique_violation(error: DBAPIError) -> bool:
    """Whether a unique constraint refused the row (and not, say, a missing reference)."""
    text = str(error.orig).lower()
    return "unique constraint" in text or "duplicate key" in text

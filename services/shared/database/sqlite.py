"""SQLite: one file per service, WAL, `synchronous=FULL`, one writer.

A short transaction runs inline in the loop thread: no thread, no lock, no await between begin and commit.
Where syncing the disk takes long, whole transactions move to one writer thread, so that the loop goes on
meanwhile. Reads that may take long run on read-only connections in a small thread pool and are stopped at
their deadline.
"""

import asyncio
import contextvars
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Uuid, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlmodel import Session

from services.shared.database.base import WAKE, Dialect, Work
from services.shared.database.types import HexUuid, read_json, write_json
from services.shared.errors import DatabaseUnavailable, SetupError

T = TypeVar("T")

_SCAN_THREADS = 2
_OPEN_WAIT = 1.0
_LOCK_SECONDS = 0.1
"""A lock that somebody else holds must not stop the event loop."""
_STEPS = 20_000  # of SQLite's machine, between two looks at the deadline
_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_NOMEM,
    }
)
_BROKEN = frozenset(
    {
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class SqliteDatabase:
    """One SQLite file. Made and used in one event loop.

    `writer_thread` moves the transactions out of the loop thread, for disks that take long to sync.
    `lock_seconds`: for so long a transaction waits for another process that writes.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: str = "FULL",
        writer_thread: bool = False,
        lock_seconds: float = _LOCK_SECONDS,
    ) -> None:
        self._writer = _writer_engine(path, synchronous, lock_seconds)
        self._readers = _reader_engine(path)
        self._scans: ThreadPoolExecutor | None = None
        self._writing: ThreadPoolExecutor | None = None
        if writer_thread:
            self._writing = ThreadPoolExecutor(1, thread_name_prefix=f"write-{path.stem}")
        self._closed = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def dialect(self) -> Dialect:
        return "sqlite"

    @property
    def writer(self) -> Engine:
        """The engine behind it, for migrations."""
        return self._writer

    async def transaction(self, work: Work[T]) -> T:
        if self._closed:
            raise DatabaseUnavailable
        if self._writing is None:
            result, wake = self._write(work)
        else:
            # the work must see the correlation id of the one who asked
            context = contextvars.copy_context()
            result, wake = await asyncio.get_running_loop().run_in_executor(
                self._writing, partial(context.run, self._write, work)
            )
        if wake:
            self.wake()
        return result

    def wake(self, but: Callable[[], None] | None = None) -> None:
        """Tell all who listen that something was written (here, or by another process), but one."""
        for listener in self._listeners:
            if listener != but:
                listener()

    def _write(self, work: Work[T]) -> tuple[T, bool]:
        try:
            with Session(self._writer, expire_on_commit=False, autoflush=False) as session:
                result = work(session)
                session.commit()
                return result, bool(session.info.pop(WAKE, False))
        except DBAPIError as error:
            if _code(error) == sqlite3.SQLITE_READONLY or self._is_away(error):
                raise DatabaseUnavailable from error
            raise
        except SetupError as error:  # it could not be opened again after an error of the disk
            raise DatabaseUnavailable from error

    async def read(self, work: Work[T]) -> T:
        return self._read(work)

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        if self._scans is None:
            self._scans = ThreadPoolExecutor(_SCAN_THREADS, thread_name_prefix="scan")
        return await asyncio.get_running_loop().run_in_executor(
            self._scans, self._read, work, seconds
        )

    def _read(self, work: Work[T], seconds: float | None = None) -> T:
        if self._closed:
            raise DatabaseUnavailable
        try:
            with Session(self._readers, expire_on_commit=False) as session:
                if seconds is None:
                    return work(session)
                connection: Any = session.connection().connection.dbapi_connection
                deadline = time.monotonic() + seconds
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
                try:
                    return work(session)
                finally:
                    connection.set_progress_handler(None, 0)
        except DBAPIError as error:
            if self._is_away(error):
                raise DatabaseUnavailable from error
            raise

    def _is_away(self, error: DBAPIError) -> bool:
        code = _code(error)
        if code in _BROKEN:
            # After an error of the disk nobody knows what an open file still remembers.
            self._readers.dispose()
            self._writer.dispose()
        return code in _PASSING or code in _BROKEN

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        self._closed = True
        for threads in (self._writing, self._scans):
            if threads is not None:
                threads.shutdown(wait=True)
        self._readers.dispose()
        self._writer.dispose()


def _code(error: DBAPIError) -> int:
    """SQLite's primary result code (https://www.sqlite.org/rescode.html); 0 where there is none."""
    return int(getattr(error.orig, "sqlite_errorcode", 0) or 0) & 0xFF


def _writer_engine(path: Path, synchronous: str, lock_seconds: float) -> Engine:
    """The one writing connection: every transaction takes the write lock at its start."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, check_same_thread=False, timeout=_OPEN_WAIT, isolation_level=None
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            connection.close()
            raise SetupError(
                f"{path} can't be opened ({error}): is another process using it?"
            ) from error
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute(f"PRAGMA busy_timeout={lock_seconds * 1000:.0f}")
        return connection

    # the text of an error may be logged: no parameters in it, which are personal
    engine = create_engine(
        "sqlite://",
        poolclass=StaticPool,
        creator=connect,
        hide_parameters=True,
        json_serializer=write_json,
        json_deserializer=read_json,
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, Uuid: HexUuid}

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _reader_engine(path: Path) -> Engine:
    address = f"{path.absolute().as_uri()}?mode=ro"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address, uri=True, check_same_thread=False, timeout=0.1, isolation_level=None
        )

    engine = create_engine(
        "sqlite://",
        poolclass=QueuePool,
        pool_size=_SCAN_THREADS + 1,
        creator=connect,
        hide_parameters=True,
        json_serializer=write_json,
        json_deserializer=read_json,
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, Uuid: HexUuid}

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def is_unique_violation(error: DBAPIError) -> bool:
    """Whether a unique constraint refused the row (and not, say, a missing reference)."""
    text = str(error.orig).lower()
    return "unique constraint" in text or "duplicate key" in text

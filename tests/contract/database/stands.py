"""Each implementation of the database port with what a test needs to know of it."""

import asyncio
import os
import signal
import sqlite3
from abc import ABC, abstractmethod
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, Text, UniqueConstraint, select
from sqlmodel import Session

from services.shared.clock import SystemClock
from services.shared.database import Database, Document, Moment
from services.shared.database.postgres import PostgresDatabase
from services.shared.database.sqlite import SqliteDatabase
from services.shared.database.types import Serial, ground_tables
from tests.components.postgres import OwnPostgres

metadata = MetaData()
NOTES = Table(
    "notes",
    metadata,
    Column("id", Serial(), primary_key=True, autoincrement=True),
    Column("name", String(64), nullable=False),
    Column("at", Moment, nullable=True),
    Column("document", Document(), nullable=True),
    Column("bytes", LargeBinary, nullable=True),
    Column("text", Text, nullable=True),
    UniqueConstraint("name"),
)
ground_tables(metadata)

ENDLESS = (
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)"
    " SELECT count(*) FROM numbers"
)


def note(name: str, at: datetime | None = None, document: Any = None) -> Any:
    """A work that writes a note."""

    def work(session: Session) -> None:
        session.execute(NOTES.insert().values(name=name, at=at, document=document))

    return work


def names(session: Session) -> list[str]:
    """A work that reads the notes' names."""
    return list(session.execute(select(NOTES.c.name).order_by(NOTES.c.id)).scalars())


class Stand(ABC):
    """A database with the tables of these tests."""

    database: Database

    @abstractmethod
    def another(self) -> Database:
        """The same database, as another process has it."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class SqliteStand(Stand):
    def __init__(self, folder: Path, *, writer_thread: bool = False) -> None:
        self.path = folder / "a database with #, ? and %41 in its name.sqlite"
        self._threaded = writer_thread
        self.database: SqliteDatabase = self._make()
        self._others: list[SqliteDatabase] = []

    def _make(self) -> SqliteDatabase:
        return SqliteDatabase(self.path, writer_thread=self._threaded)

    def another(self) -> SqliteDatabase:
        other = self._make()
        self._others.append(other)
        return other

    async def open(self) -> None:
        with self.database.writer.begin() as connection:
            metadata.create_all(connection)

    async def close(self) -> None:
        for database in (self.database, *self._others):
            await database.close()


class PostgresStand(Stand):
    def __init__(self, url: str) -> None:
        self._url = url
        self.database: PostgresDatabase = self._make()
        self._others: list[PostgresDatabase] = []

    def _make(self) -> PostgresDatabase:
        return PostgresDatabase(self._url, "public", SystemClock())

    def another(self) -> PostgresDatabase:
        other = self._make()
        self._others.append(other)
        return other

    async def open(self) -> None:
        async with self.database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def close(self) -> None:
        for database in (self.database, *self._others):
            await database.close()


class Outage(ABC):
    """A database that can be made to go away and come back."""

    stand: Stand

    @abstractmethod
    def begin(self) -> None: ...

    @abstractmethod
    def end(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class LockedFile(Outage):
    """Another program holds the write lock of the file."""

    def __init__(self, folder: Path) -> None:
        self.stand: SqliteStand = SqliteStand(folder)
        self._locker: sqlite3.Connection | None = None

    def begin(self) -> None:
        self._locker = sqlite3.connect(self.stand.path, isolation_level=None)
        self._locker.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        if self._locker is not None:
            self._locker.close()
            self._locker = None

    async def close(self) -> None:
        self.end()
        await self.stand.close()


class FullDisk(Outage):
    """The file may not grow any more."""

    def __init__(self, folder: Path) -> None:
        self.stand: SqliteStand = SqliteStand(folder)

    def begin(self) -> None:
        with self.stand.database.writer.connect() as connection:
            used = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count={used}")

    def end(self) -> None:
        with self.stand.database.writer.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count=1073741823")

    async def close(self) -> None:
        await self.stand.close()


class StoppedServer(Outage):
    """The server's processes are killed; it comes up again as it does under a supervisor.

    The postmaster lives on: after a backend was killed it cuts every connection and recovers by itself.
    While it is "stopped" it takes connections and answers nothing.
    """

    def __init__(self) -> None:
        # its processes are killed: without fsync it could forget what it said was committed
        self._server = OwnPostgres(durable=True)
        self._name = self._server.create_database()
        self.stand: PostgresStand = PostgresStand(self._server.url(self._name))

    def begin(self) -> None:
        for backend in psutil.Process(self._server.pid).children():
            if "idle" in " ".join(backend.cmdline()):
                backend.kill()
        os.kill(self._server.pid, signal.SIGSTOP)

    def end(self) -> None:
        os.kill(self._server.pid, signal.SIGCONT)

    async def close(self) -> None:
        self.end()
        await self.stand.close()
        await asyncio.to_thread(self._server.stop)

"""PostgreSQL through asyncpg: a schema per service, each unit of work in a greenlet."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import greenlet_spawn
from sqlmodel import Session

from services.shared.clock import Clock
from services.shared.database.base import WAKE, Dialect, Work
from services.shared.database.types import read_json, write_json
from services.shared.errors import DatabaseUnavailable

T = TypeVar("T")

_REPEATABLE = frozenset({"40001", "40P01"})  # serialization failure, deadlock detected
# connection, log-in, no such database, resources, operator intervention, system error
_AWAY = ("08", "28", "3D", "53", "57", "58")
_READ_ONLY = "25006"  # a server that has become a standby
_ATTEMPTS = 5

# Short work finds its rows by an index, whatever the statistics say. A table that was empty when a statement
# was planned is read from end to end by that plan until the statistics are made, and the more rows come
# meanwhile, the longer each of those readings takes.
_SHORT_WORK = {"enable_seqscan": "off", "jit": "off"}
_LONG_WORK = (
    "SELECT set_config('enable_seqscan', 'on', true), set_config('statement_timeout', :most, true)"
)


class PostgresDatabase:
    """One schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str, clock: Clock, *, pool: int = 8) -> None:
        self._clock = clock
        readers = max(1, pool // 3)
        self._engine = self._connect(url, schema, max(1, pool - readers))
        self._scanners = self._engine.execution_options(postgresql_readonly=True)
        # a short reading is its statement only, without the round trips of a transaction around it
        self._reading = self._connect(url, schema, readers, default_transaction_read_only="on")
        self._readers = self._reading.execution_options(isolation_level="AUTOCOMMIT")
        self._listeners: list[Callable[[], None]] = []

    @staticmethod
    def _connect(url: str, schema: str, connections: int, **settings: str) -> AsyncEngine:
        return create_async_engine(
            _asyncpg_url(url),
            pool_size=connections,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=False,
            json_serializer=write_json,
            json_deserializer=read_json,
            hide_parameters=True,  # the text of an error may be logged: nothing personal in it
            connect_args={
                "server_settings": {
                    **_SHORT_WORK,
                    **settings,
                    "search_path": schema,
                    "timezone": "UTC",
                    "application_name": f"baitwell {schema}",
                },
                "timeout": 5,
                "command_timeout": 30,
            },
        )

    @property
    def dialect(self) -> Dialect:
        return "postgresql"

    @property
    def engine(self) -> AsyncEngine:
        """The engine behind it, for migrations."""
        return self._engine

    async def transaction(self, work: Work[T]) -> T:
        result, wake = await self._repeated(self._engine, work)
        if wake:
            for listener in self._listeners:
                listener()
        return result

    async def read(self, work: Work[T]) -> T:
        result, _ = await self._repeated(self._readers, work)
        return result

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        def bounded(session: Session) -> T:
            most = str(max(1, int(seconds * 1000)))
            session.execute(text(_LONG_WORK), {"most": most})
            return work(session)

        try:
            # the server stops one statement; this stops a work of many
            async with asyncio.timeout(seconds + 1.0):
                result, _ = await self._repeated(self._scanners, bounded)
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        return result

    async def _repeated(self, engine: AsyncEngine, work: Work[T]) -> tuple[T, bool]:
        for attempt in range(_ATTEMPTS):
            try:
                return await _once(engine, work)
            except DBAPIError as error:
                if _state(error) in _REPEATABLE:
                    await self._clock.sleep(0.005 * 2**attempt)
                    continue
                if _is_away(error) or (engine is self._engine and _state(error) == _READ_ONLY):
                    raise DatabaseUnavailable from error
                raise
            except (
                OSError,
                TimeoutError,
                PoolTimeout,
                # what connecting raises is not wrapped
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
            ) as error:
                raise DatabaseUnavailable from error
        raise DatabaseUnavailable

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        await self._engine.dispose()
        await self._reading.dispose()


async def _once(engine: AsyncEngine, work: Work[T]) -> tuple[T, bool]:
    def run() -> tuple[T, bool]:
        # one switch to the driver's side for all of it: an `AsyncSession` makes one for each of its steps
        with (
            engine.sync_engine.connect() as connection,
            Session(connection, expire_on_commit=False, autoflush=False) as session,
        ):
            result = work(session)
            session.commit()
            return result, bool(session.info.pop(WAKE, False))

    return await greenlet_spawn(run)


def _asyncpg_url(url: str) -> str:
    for prefix in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+asyncpg://" + url.removeprefix(prefix)
    return url


def _state(error: DBAPIError) -> str:
    original: Any = error.orig
    return str(getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or "")


def _is_away(error: DBAPIError) -> bool:
    if error.connection_invalidated or isinstance(error, InterfaceError):
        return True
    state = _state(error)
    return state[:2] in _AWAY or (isinstance(error, OperationalError) and not state)

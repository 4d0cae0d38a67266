"""PostgreSQL through asyncpg: a schema per service, units of work by `AsyncSession.run_sync`."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from services.shared.clock import Clock
from services.shared.database.base import WAKE, Dialect, Work
from services.shared.errors import DatabaseUnavailable

T = TypeVar("T")

_REPEATABLE = frozenset({"40001", "40P01"})  # serialization failure, deadlock detected
_AWAY = ("08", "53", "57")  # connection, resources, operator intervention
_ATTEMPTS = 5


class PostgresDatabase:
    """One schema of a PostgreSQL database."""

    def __init__(self, url: str, schema: str, clock: Clock, *, pool: int = 8) -> None:
        self._clock = clock
        self._engine = create_async_engine(
            _asyncpg_url(url),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=5,
            pool_pre_ping=False,
            connect_args={
                "server_settings": {"search_path": schema, "timezone": "UTC"},
                "timeout": 5,
                "command_timeout": 30,
            },
        )
        self._listeners: list[Callable[[], None]] = []

    @property
    def dialect(self) -> Dialect:
        return "postgresql"

    @property
    def engine(self) -> AsyncEngine:
        """The engine behind it, for migrations."""
        return self._engine

    async def transaction(self, work: Work[T]) -> T:
        for attempt in range(_ATTEMPTS):
            try:
                result, wake = await self._once(work)
            except DBAPIError as error:
                if _state(error) in _REPEATABLE and attempt < _ATTEMPTS - 1:
                    await self._clock.sleep(0.005 * 2**attempt)
                    continue
                if _is_away(error):
                    raise DatabaseUnavailable from error
                raise
            except (OSError, TimeoutError, PoolTimeout) as error:
                raise DatabaseUnavailable from error
            if wake:
                for listener in self._listeners:
                    listener()
            return result
        raise DatabaseUnavailable

    async def _once(self, work: Work[T]) -> tuple[T, bool]:
        async with AsyncSession(self._engine, expire_on_commit=False, autoflush=False) as session:

            def run(sync: Session) -> T:
                return work(sync)

            result = await session.run_sync(run)  # type: ignore[arg-type]  # it is a sqlmodel Session
            await session.commit()
            return result, bool(session.sync_session.info.pop(WAKE, False))

    async def read(self, work: Work[T]) -> T:
        return await self.transaction(work)

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        def bounded(session: Session) -> T:
            session.execute(text(f"SET LOCAL statement_timeout = {int(seconds * 1000)}"))
            session.execute(text("SET TRANSACTION READ ONLY"))
            return work(session)

        return await self.transaction(bounded)

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    async def close(self) -> None:
        await self._engine.dispose()


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

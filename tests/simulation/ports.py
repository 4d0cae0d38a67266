"""The product's database and log with chaos around every call."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from sqlmodel import Session

from services.shared.bus import BusUnavailable
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import Clock
from services.shared.database.base import Dialect, Work
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import DatabaseUnavailable
from services.shared.events import Message
from tests.simulation.chaos import Chaos

T = TypeVar("T")


class Store:
    """A service's file. Its engine is used by one process after the other; each opens the file anew."""

    def __init__(self, path: Path) -> None:
        # A process that dies loses nothing that the kernel has: syncing would only take time here.
        self.database = SqliteDatabase(path, synchronous="OFF")
        self.listeners: list[Callable[[], None]] = []
        self.database.on_commit(self._tell)

    def _tell(self) -> None:
        for listener in self.listeners:
            listener()

    def let_go(self) -> None:
        """Close the file and forget who listened, as the end of a process does."""
        self.listeners.clear()
        self.database.writer.dispose()
        self.database._readers.dispose()


class ChaoticDatabase:
    """A store whose process may die on either side of a commit, and which is away now and then."""

    def __init__(self, store: Store, chaos: Chaos) -> None:
        self.inner = store.database
        self._store = store
        self._chaos = chaos

    @property
    def dialect(self) -> Dialect:
        return self.inner.dialect

    async def transaction(self, work: Work[T]) -> T:
        await self._chaos.delay()
        if self._chaos.strikes():
            raise DatabaseUnavailable

        def observed(session: Session) -> T:
            result = work(session)
            self._chaos.point("before a commit")
            return result

        result = await self.inner.transaction(observed)
        self._chaos.point("after a commit")
        await self._chaos.delay()
        return result

    async def read(self, work: Work[T]) -> T:
        await self._chaos.delay()
        if self._chaos.strikes():
            raise DatabaseUnavailable
        result = await self.inner.read(work)
        await self._chaos.delay()
        return result

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        return await self.read(work)

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._store.listeners.append(listener)

    async def close(self) -> None:
        self._store.let_go()


class ChaoticBus(SqliteBus):
    """The embedded log; a call that fails may have appended all the same."""

    def __init__(self, path: Path, clock: Clock, chaos: Chaos) -> None:
        super().__init__(path, clock, synchronous="OFF")
        self._chaos = chaos

    async def publish(self, messages: Sequence[Message]) -> None:
        await self._chaos.delay()
        if self._chaos.strikes():
            raise BusUnavailable("before it was appended")
        await super().publish(messages)
        await self._chaos.delay()
        if self._chaos.strikes():
            raise BusUnavailable("after it was appended")

    def _commit(self) -> None:
        self._chaos.point("before an append")
        super()._commit()
        self._chaos.point("after an append")

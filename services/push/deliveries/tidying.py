"""What keeps push's tables small, and what is done once at the start of a process."""

import asyncio
import logging
from functools import partial

from services.push.deliveries import repository
from services.push.policy.service import Policy
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

_EVERY = 3600.0
_FIRST = 60.0


class Tidy:
    """Forgets reservations that no window reaches any more, a few at a time, once an hour."""

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy until `stop` is set."""
        pause = _FIRST
        while not await self._clock.wait(stop, pause):
            pause = _EVERY
            try:
                await self.once()
            except DatabaseUnavailable:
                log.warning("tidying waits for the database")

    async def once(self) -> None:
        """Forget everything that is old enough."""
        while True:
            # looked for beside the loop, as there is no index by time: every send would pay for it
            found = await self._database.scan(partial(self._policy.outdated, now=self._clock.now()))
            if not found:
                return
            await self._database.transaction(partial(self._policy.forget, outdated=found))


class Recovery:
    """Where one process has the database to itself, what an earlier one had claimed is free at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._done: asyncio.Task[None] | None = None

    async def first(self) -> None:
        """Done once, before the first claim; every dispatcher waits for it."""
        if self._database.dialect != "sqlite":
            return
        if self._done is None or (self._done.done() and self._done.exception() is not None):
            self._done = asyncio.create_task(self._abandon())
        await asyncio.shield(self._done)

    async def _abandon(self) -> None:
        now = self._clock.now()
        await self._database.transaction(lambda session: repository.abandon(session, now))

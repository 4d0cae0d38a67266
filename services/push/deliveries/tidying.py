"""What keeps push's tables small, and what is done once at the start of a process."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import delete, select
from sqlmodel import Session

from services.push.deliveries import anew, repository
from services.push.deliveries.repository import TRACE
from services.push.policy.service import Policy
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

log = logging.getLogger(__name__)

_EVERY = 3600.0
_FIRST = 60.0
_SOON = 1.0
_AT_ONCE = 1000


class Tidy:
    """Forgets reservations that no window reaches any more and old decisions, once an hour.

    Before that, and soon after the start, what was held by other rules is asked anew.

    A few at a time. `trace_kept` is how long decisions are kept that the ledger has written over; None:
    for good.
    """

    def __init__(
        self, database: Database, clock: Clock, policy: Policy, trace_kept: timedelta | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._trace_kept = trace_kept

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy until `stop` is set."""
        pause, work = _SOON, self.ask_anew
        while not await self._clock.wait(stop, pause):
            pause = _FIRST if pause == _SOON else _EVERY
            try:
                await work()
            except DatabaseUnavailable:
                log.warning("tidying waits for the database")
            work = self.once

    async def ask_anew(self) -> None:
        """Where the policy's rules are not those of the last time: have what they hold asked again."""
        rules = str(self._policy.rules)
        if await self._database.read(anew.held_by_rules) == rules:
            return
        now = self._clock.now()
        while ids := await self._database.scan(partial(anew.held, now=now)):
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                await self._database.transaction(partial(anew.ask, ids=some, now=now))
        # not before: who is interrupted begins again
        await self._database.transaction(partial(anew.note, rules=rules))

    async def once(self) -> None:
        """Forget everything that is old enough."""
        await self.ask_anew()
        await self._forget_reservations()
        if self._trace_kept is not None:
            await self._forget_trace(self._clock.now() - self._trace_kept)

    async def _forget_trace(self, before: datetime) -> None:
        while True:
            found = await self._database.scan(partial(_old_trace, before=before))
            if not found:
                return
            await self._database.transaction(partial(_forget_lines, ids=found))

    async def _forget_reservations(self) -> None:
        while True:
            # looked for beside the loop, as there is no index by time: every send would pay for it
            found = await self._database.scan(partial(self._policy.outdated, now=self._clock.now()))
            if not found:
                return
            await self._database.transaction(partial(self._policy.forget, outdated=found))


def _old_trace(session: Session, before: datetime) -> Sequence[int]:
    """Some of the lines that are older. There is no index by time: ids are given nearly in its order."""
    older = select(TRACE.c.id).where(TRACE.c.at < before).order_by(TRACE.c.id).limit(_AT_ONCE)
    return session.execute(older).scalars().all()


def _forget_lines(session: Session, ids: Sequence[int]) -> None:
    session.execute(delete(TRACE).where(TRACE.c.id.in_(ids)))


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

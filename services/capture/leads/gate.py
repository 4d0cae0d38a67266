"""Back-pressure: with the log away the outbox grows to a bound; then submissions are refused."""

import asyncio
import contextlib

from services.shared import outbox
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable, Unavailable
from services.shared.traffic import Traffic

_EVERY = 1.0


class OutboxGate:
    """Knows about how much waits in the outbox without asking for each request.

    Once it was full, who empties it goes first: a crowd that is refused and asks again would leave it too
    little of the loop, and the outbox full.
    """

    def __init__(
        self, database: Database, clock: Clock, limit: int, traffic: Traffic | None = None
    ) -> None:
        self._database = database
        self._clock = clock
        self._limit = limit
        self._traffic = traffic or Traffic(clock)
        self._depth = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Look again and again."""
        while not stop.is_set():
            with contextlib.suppress(DatabaseUnavailable):  # submissions find out by themselves
                self._depth = (await self._database.read(outbox.state)).depth
                if self._depth < self._limit / 2:
                    self._traffic.catching_up = False
            await self._clock.wait(stop, _EVERY)

    def check(self) -> None:
        """Raises `Unavailable` when the outbox is full."""
        if self._depth >= self._limit:
            self._traffic.catching_up = True
            raise Unavailable(
                ("事件日志暂不可用，请稍后再试。", "The event log is away; come again."),
                retry_after=5,
            )

    def wrote(self, messages: int) -> None:
        """Count what was put since the last look."""
        self._depth += messages

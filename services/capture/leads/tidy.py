"""Hourly: answers kept for repeats, and uploads that were never finished, are let go."""

import asyncio
from datetime import timedelta

from services.capture.files.service import Files
from services.capture.leads import repository
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

_KEPT = timedelta(days=7)
_EVERY = 3600.0
_AT_ONCE = 1000


class Tidy:
    """Drops what is past its time."""

    def __init__(self, database: Database, clock: Clock, files: Files) -> None:
        self._database = database
        self._clock = clock
        self._files = files

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy up every hour."""
        while not await self._clock.wait(stop, _EVERY):
            try:
                await self.step()
            except DatabaseUnavailable:
                continue

    async def step(self) -> None:
        """Tidy up once, in pieces that hold nobody up."""
        before = self._clock.now() - _KEPT
        while await self._database.transaction(
            lambda s: repository.forget_answers(s, before, _AT_ONCE)
        ):
            await self._clock.sleep(0)
        await self._files.tidy()

"""What profile does by itself: marks on its compacted topic, notes that passed their contact, old waiting notes."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy import delete
from sqlmodel import Session

from services.profile.leads.batch import SOURCE, WAITING
from services.profile.leads.intake import Intake, passed
from services.shared import outbox
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.database.lease import acquire
from services.shared.errors import DatabaseUnavailable
from services.shared.events import encode
from services.shared.events.profiles import LogMarker
from services.shared.ids import Ids, derived

log = logging.getLogger(__name__)

MARKER_KEYS = tuple(f"log-marker-{n}" for n in (21, 4, 22, 34, 10, 0, 9, 6, 26, 1, 28, 36))
"""A key for each of the twelve partitions, in their order, as Kafka's default partitioner places them."""

_DRAIN_SECONDS = 10.0
_KEEP_WAITING = timedelta(days=30)


class Upkeep:
    """Profile's background work."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, intake: Intake) -> None:
        self._database = database
        self._clock = clock
        self._intake = intake
        self._ids = ids

    async def run(self, stop: asyncio.Event) -> None:
        """Look after waiting notes every few seconds, and after the rest once a day."""
        while not stop.is_set():
            try:
                # beside the loop: with many who wait, looking through them takes as long as a hundred requests
                if await self._database.scan(lambda session: bool(passed(session))):
                    await self._database.transaction(self._intake.drain)
                await self._database.transaction(self.daily)
            except DatabaseUnavailable:
                log.warning("upkeep waits for the database")
            await self._clock.wait(stop, _DRAIN_SECONDS)

    def daily(self, session: Session) -> bool:
        """Once a day, in one process: mark every partition, forget notes whose contact never came.

        False: it was done today.
        """
        now = self._clock.now()
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        # a new name each time: whoever has the lease must not renew it before midnight
        holder = str(self._ids.new())
        if not acquire(session, "daily upkeep", holder, midnight - now, self._clock):
            return False
        day = now.date().isoformat()
        marks = [
            encode(
                LogMarker(day=day),
                event_id=derived("log.marker", key, day),
                key=key,
                occurred_at=now,
                source=SOURCE,
            )
            for key in MARKER_KEYS
        ]
        outbox.put(session, marks, now)
        session.execute(delete(WAITING).where(WAITING.c.arrived_at < now - _KEEP_WAITING))
        return True

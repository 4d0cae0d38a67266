"""Counts drawn forms in memory and says the sums: no person, no cookie, no row per view."""

import asyncio
from collections import Counter
from uuid import UUID

from sqlmodel import Session

from services.capture.baits.live import LiveBait
from services.capture.settings import CaptureSettings
from services.shared import outbox
from services.shared.errors import DatabaseUnavailable
from services.shared.events import Message, encode
from services.shared.events.leads import BaitDisplayed
from services.shared.ground import Ground
from services.shared.machines import is_robot

_EVERY = 5.0


class ViewCounter:
    """Sums displays per bait for a few seconds. What a crash takes is at most that."""

    def __init__(self, ground: Ground[CaptureSettings]) -> None:
        self._ground = ground
        self._people: Counter[UUID] = Counter()
        self._robots: Counter[UUID] = Counter()
        self._slugs: dict[UUID, str] = {}

    def drawn(self, bait: LiveBait, user_agent: str) -> None:
        """A form was drawn."""
        self._slugs[bait.id] = bait.slug
        counter = self._robots if is_robot(user_agent) else self._people
        counter[bait.id] += 1

    async def run(self, stop: asyncio.Event) -> None:
        """Say the sums again and again; the app says what is left when it ends."""
        while not stop.is_set():
            await self._ground.clock.wait(stop, _EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Say what was counted since the last time; keep it when the database is away."""
        if not self._slugs:
            return
        slugs, people, robots = self._slugs, self._people, self._robots
        self._slugs, self._people, self._robots = {}, Counter(), Counter()
        now = self._ground.clock.now()
        messages = [
            self._message(bait_id, slug, people[bait_id], robots[bait_id])
            for bait_id, slug in slugs.items()
        ]

        def work(session: Session) -> None:
            outbox.put(session, messages, now)

        try:
            await self._ground.database.transaction(work)
        except DatabaseUnavailable:
            self._slugs = slugs | self._slugs
            self._people += people
            self._robots += robots

    def _message(self, bait_id: UUID, slug: str, people: int, robots: int) -> Message:
        return encode(
            BaitDisplayed(bait_id=bait_id, bait_slug=slug, displays=people, machine=robots),
            event_id=self._ground.ids.new(),
            key=str(bait_id),
            occurred_at=self._ground.clock.now(),
            source="capture",
        )

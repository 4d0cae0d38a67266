"""Takes down what people do in messages, and lets them leave."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from services.metrics.funnel import repository as funnel
from services.metrics.settings import MetricsSettings
from services.metrics.subjects import repository as subjects
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.repository import Waiter
from services.shared import outbox
from services.shared.errors import Unavailable
from services.shared.events import encode
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.ground import Ground
from services.shared.group_commit import GroupCommit
from services.shared.http.internal import ServiceUnreachable
from services.shared.ids import derived

log = logging.getLogger(__name__)

DISPLAYED, CLICKED = "engagement.displayed", "engagement.clicked"
UNSUBSCRIBED = "engagement.unsubscribed"

_STORE_SECONDS = 2.0
_ASK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Leaving:
    """An unsubscribe that is durable: whose, as far as metrics knows."""

    delivery_id: UUID | None
    contact_key: str | None
    at: datetime


class Tracker:
    """Writes clicks, opens and unsubscribes."""

    def __init__(self, ground: Ground[MetricsSettings]) -> None:
        self._ground = ground
        self._clock = ground.clock
        self._new_id = ground.ids.new
        self._window = timedelta(seconds=ground.settings.click_window_seconds)
        self._commit: GroupCommit[Waiter, None] = GroupCommit(
            ground.database, ground.clock, _write, bound=20_000, patience=_STORE_SECONDS
        )
        self._unstored = Counter(
            "baitwell_tracking_unstored_total",
            "Clicks and opens that were answered and could not be stored.",
            ("kind",),
            registry=ground.registry,
        )
        self._asks = Counter(
            "baitwell_unsubscribe_asks_total",
            "Unsubscribes of which push was told at once, or was not (the event follows).",
            ("result",),
            registry=ground.registry,
        )

    async def click(self, delivery_id: UUID, link: int, url: str, sign: str) -> None:
        """Make a click durable. Never raises: the person is redirected whatever happens."""
        await self._store(CLICKED, delivery_id, sign, {"link": link, "url": url})

    async def open(self, delivery_id: UUID, sign: str) -> None:
        """Make an open durable. Never raises."""
        await self._store(DISPLAYED, delivery_id, sign, {})

    async def _store(
        self, kind: str, delivery_id: UUID, sign: str, document: dict[str, object]
    ) -> None:
        now = self._clock.now()
        due = now + self._window if kind == CLICKED else now
        waiter = Waiter(self._new_id(), kind, now, due, delivery_id, reason=sign, document=document)
        try:
            await self._commit.submit(waiter)
        except (Unavailable, SQLAlchemyError, TimeoutError) as error:
            self._unstored.labels(kind).inc()
            log.warning("an engagement was not stored: %s", type(error).__name__)

    async def unsubscribe(self, delivery_id: UUID, way: Literal["one_click", "page"]) -> None:
        """Let somebody leave: durable when this returns, and push was asked to stop at once.

        Again for the same message: nothing is counted twice, and it holds again. Raises `Unavailable`.
        """
        at = self._clock.now()
        again = self._ground.ids.new()
        leaving = await self._ground.database.transaction(
            lambda session: _leave(session, delivery_id, way, at, again)
        )
        await self.ask_push(leaving)

    async def ask_push(self, leaving: Leaving) -> None:
        """Ask push to stop at once, within a short time. It hears it by the event in any case."""
        push = self._ground.neighbours.get("push")
        if push is None:
            return
        body = {
            "contact_key": leaving.contact_key,
            "delivery_id": str(leaving.delivery_id) if leaving.delivery_id else None,
            "at": leaving.at.isoformat(),
        }
        result = "late"
        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_SECONDS):
                try:
                    await push.post("/internal/unsubscribe", body)
                    result = "told"
                except ServiceUnreachable as error:
                    result = "failed"
                    log.warning("push was not told at once of an unsubscribe: %s", error)
        self._asks.labels(result).inc()


def _write(session: Session, waiters: Sequence[Waiter]) -> Sequence[None]:
    waiting.add(session, waiters)
    return [None] * len(waiters)


def _leave(
    session: Session,
    delivery_id: UUID,
    way: Literal["one_click", "page"],
    at: datetime,
    again: UUID,
) -> Leaving:
    """Write what push and profile will hear, and what will be counted (once per message)."""
    counted_as = derived(UNSUBSCRIBED, delivery_id)
    delivery = subjects.deliveries(session, [delivery_id]).get(delivery_id)
    first = not (
        funnel.known_events(session, [counted_as]) or waiting.with_ids(session, [counted_as])
    )
    event = EngagementUnsubscribed(
        engagement_id=counted_as,
        delivery_id=delivery_id,
        campaign_id=delivery.campaign_id if delivery else None,
        bait_id=delivery.bait_id if delivery else None,
        profile_id=delivery.profile_id if delivery else None,
        contact_key=delivery.contact_key if delivery else None,
        channel=delivery.channel if delivery else None,
        way=way,
    )
    # who came back meanwhile and leaves by the same old message is heard again; of a delivery that is not
    # known yet only push knows whose it is, so it is said once more when it settles
    name = ("event" if delivery else "unplaced") if first else again
    event_id = derived(UNSUBSCRIBED, counted_as, name)
    message = encode(
        event,
        event_id=event_id,
        key=event.contact_key or str(event_id),
        occurred_at=at,
        source="metrics",
    )
    outbox.put(session, [message], at)
    if first:
        said = delivery is not None
        waiter = Waiter(
            counted_as, UNSUBSCRIBED, at, at, delivery_id, said=said, document={"way": way}
        )
        waiting.add_once(session, [waiter])
    return Leaving(delivery_id, event.contact_key, at)

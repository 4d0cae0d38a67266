"""What metrics says of people, as it says it, does at profile and push what it should."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.profile.consent.models import ConsentEntry
from services.profile.timeline.models import EngagementFact, TimelineEntry
from services.push.reach import handlers
from services.push.reach.repository import SUPPRESSIONS
from services.shared.events.engagements import EngagementUnsubscribed
from tests.ground import sqlite_database
from tests.metrics import bench as metrics_bench
from tests.profile.bench import Bench, open_bench
from tests.push.deliveries.rig import LedgerRig

ADDRESS = "ann@shop.example"
CAMPAIGN = UUID(int=8)


class Trio:
    """Three services, and one person whom profile and push know."""

    def __init__(self, metrics: metrics_bench.Bench, profile: Bench, push: LedgerRig) -> None:
        self.metrics, self.profile, self.push = metrics, profile, push
        self.key = profile.contact(ADDRESS).contact_key
        self._heard = 0

    async def publish(self) -> None:
        """Profile and push hear what metrics has said since the last time."""
        said = (await self.metrics.received_of_outbox())[self._heard :]
        self._heard += len(said)
        for received in said:
            await self.profile.feed(received)
            if isinstance(received.event, EngagementUnsubscribed):
                await self._push_hears(received)

    async def kinds(self) -> list[str]:
        """The engagements on the timeline."""
        rows = await self.profile.rows(TimelineEntry)
        return [row["kind"] for row in rows if row["kind"].startswith("engagement.")]

    async def suppressed(self) -> list[Any]:
        """(contact key, reason, time) of push's list."""
        rows = await self.push.database.read(lambda s: s.execute(SUPPRESSIONS.select()).all())
        return [tuple(row) for row in rows]

    async def _push_hears(self, received: Any) -> None:
        handler = handlers.handlers(self.push.clock)[EngagementUnsubscribed]
        await self.push.database.transaction(lambda session: handler(session, [received]))


@pytest.fixture
async def trio(tmp_path: Path) -> AsyncIterator[Trio]:
    async with (
        metrics_bench.open_bench(tmp_path / "metrics") as metrics,
        open_bench(tmp_path / "profile") as profile,
    ):
        database = sqlite_database(tmp_path / "push.sqlite", "push")
        trio = Trio(metrics, profile, LedgerRig(database, profile.clock))
        await profile.feed(profile.lead(ADDRESS, consent=True))
        yield trio
        await database.close()


async def test_who_leaves_by_a_message_that_metrics_does_not_know_yet(trio: Trio):
    ids = await trio.push.plan(trio.push.wish(1, contact_key=trio.key))
    delivery = ids[trio.key]
    left_at = trio.metrics.clock.now()
    token = trio.metrics.ground.tokens.sign("u", delivery)
    assert (await trio.metrics.client.post(f"/u/{token}", data={"way": "page"})).status_code == 200
    await trio.publish()
    # push finds the contact by its delivery at once, profile can't
    assert await trio.suppressed() == [(trio.key, "unsubscribed", left_at)]
    assert await trio.kinds() == []
    sent = metrics_bench.outcome(
        metrics_bench.PushSent, delivery, campaign_id=CAMPAIGN, contact_key=trio.key
    )
    await trio.metrics.tell(sent)
    await trio.metrics.settle(3)
    await trio.publish()
    assert await trio.suppressed() == [(trio.key, "unsubscribed", left_at)]
    assert await trio.kinds() == ["engagement.unsubscribed"]
    withdrawn = [row for row in await trio.profile.rows(ConsentEntry) if not row["given"]]
    assert [(row["at"], row["effective"]) for row in withdrawn] == [(left_at, True)]
    assert [c.given for c in (await trio.profile.states())[-1].consents] == [False]


async def test_clicks_that_turn_out_a_machines_leave_the_timeline(trio: Trio):
    delivery = UUID(int=77)
    sent = metrics_bench.outcome(
        metrics_bench.PushSent, delivery, campaign_id=CAMPAIGN, contact_key=trio.key
    )
    await trio.metrics.tell(sent)
    trio.metrics.clock.advance(60)
    await trio.metrics.click(delivery, 1)
    trio.metrics.clock.advance(0.9)
    await trio.metrics.click(delivery, 2)
    await trio.metrics.settle(0.1)
    await trio.publish()
    assert await trio.kinds() == ["engagement.clicked"]
    await trio.metrics.click(delivery, 3)
    await trio.metrics.settle(2)
    await trio.publish()
    assert await trio.kinds() == []
    assert await trio.profile.count(EngagementFact) == 0

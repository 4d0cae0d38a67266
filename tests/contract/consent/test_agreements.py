"""What profile shows of a consent is what push does, in whatever order the news of leaving comes.

Profile's events are fed to push's handlers as profile publishes them.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.push.reach import handlers
from services.shared.events import Received, Record
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.events.profiles import ProfileChanged
from services.shared.ids import derived
from tests.ground import sqlite_database
from tests.profile.bench import Bench, open_bench
from tests.push.deliveries.rig import LedgerRig

ADDRESS = "ann@shop.example"
MINUTE = timedelta(minutes=1)


class Pair:
    """Profile and push with one person, Ann, whose mailbox agreed by a form and was verified."""

    def __init__(self, profile: Bench, push: LedgerRig) -> None:
        self.profile, self.push = profile, push
        self.key = profile.contact(ADDRESS).contact_key
        self.ann = UUID(int=0)
        self._asked = 0

    @property
    def now(self) -> datetime:
        return self.profile.clock.now()

    async def begin(self) -> None:
        lead = self.profile.lead(ADDRESS, consent=True)
        await self.profile.feed(lead)
        self.profile.clock.advance(60)
        await self.profile.feed(self.profile.verified(lead))
        self.profile.clock.advance(60)
        await self.publish()

    async def publish(self) -> None:
        """Push hears what profile has said."""
        for event in await self.profile.said():
            if isinstance(event, ProfileChanged):
                self.ann = event.state.profile_id
                await self._push_hears(event, self.now)

    async def record(self, *, at: datetime | None = None) -> dict[str, Any]:
        """An operator records that Ann agreed."""
        body = {"channel": "email", "given": True, "provenance": "signed at the fair"}
        body |= {"at": at.isoformat()} if at else {}
        answer = await self.profile.client.post(
            f"/v1/profiles/{self.ann}/consents", json=body, headers=self.profile.admin
        )
        assert answer.status_code == 201
        found: dict[str, Any] = answer.json()
        return found

    async def left(self, at: datetime, *, told: str = "profile push") -> None:
        """Ann unsubscribed at that time; those who are `told` hear it now."""
        event = EngagementUnsubscribed(
            engagement_id=derived("left"), contact_key=self.key, channel="email", way="page"
        )
        if "profile" in told:
            await self.profile.feed(self.profile.received(event, at, "left"))
        if "push" in told:
            await self._push_hears(event, at)

    async def shown(self) -> bool:
        """Whether the profile says that marketing to Ann is agreed to."""
        answer = await self.profile.client.get(
            f"/v1/profiles/{self.ann}", headers=self.profile.admin
        )
        return all(consent["given"] for consent in answer.json()["consents"])

    async def mailed(self) -> bool:
        """Whether push lets a campaign's message to Ann out now."""
        self._asked += 1
        wish = self.push.wish(
            1, f"run-{self._asked}", contact_key=self.key, profile_id=self.ann, not_before=self.now
        )
        await self.push.plan(wish)
        ledger = self.push.ledger()
        turn = await self.push.turn(ledger, candidates=await self.push.claim(ledger))
        return bool(turn.sending)

    async def _push_hears(self, event: Any, at: datetime) -> None:
        record = Record(event.topic, 0, 0, "k", (), b"")
        heard = Received(event, derived("heard", event, at), at, "k", None, record)
        handler = handlers.handlers(self.push.clock)[type(event)]
        await self.push.database.transaction(lambda session: handler(session, [heard]))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_bench(tmp_path / "profile") as profile:
        database = sqlite_database(tmp_path / "push.sqlite", "push")
        pair = Pair(profile, LedgerRig(database, profile.clock, cap_day=0, cap_week=0))
        await pair.begin()
        yield pair
        await database.close()


async def test_who_agreed_is_mailed(pair: Pair):
    assert (await pair.shown(), await pair.mailed()) == (True, True)


async def test_what_an_operator_records_after_the_unsubscribe_is_a_new_agreement(pair: Pair):
    await pair.left(pair.now)
    await pair.publish()
    assert (await pair.shown(), await pair.mailed()) == (False, False)
    pair.profile.clock.advance(60)
    recorded = await pair.record()
    await pair.publish()
    assert recorded["entry"]["effective"]
    assert (await pair.shown(), await pair.mailed()) == (True, True)


async def test_what_was_said_before_the_unsubscribe_does_not_undo_it(pair: Pair):
    await pair.left(pair.now)
    pair.profile.clock.advance(60)
    recorded = await pair.record(at=pair.now - 2 * MINUTE)
    await pair.publish()
    assert not recorded["entry"]["effective"]
    assert not any(consent["given"] for consent in recorded["consents"])
    assert (await pair.shown(), await pair.mailed()) == (False, False)


@pytest.mark.parametrize("late", ["profile push", "push", "profile"])
async def test_news_of_leaving_that_comes_after_the_new_agreement_changes_nothing(
    pair: Pair, late: str
):
    left_at = pair.now
    early = {"profile", "push"} - set(late.split())
    await pair.left(left_at, told=" ".join(early))
    pair.profile.clock.advance(60)
    await pair.record()
    await pair.publish()
    await pair.left(left_at, told=late)
    await pair.publish()
    assert (await pair.shown(), await pair.mailed()) == (True, True)


async def test_who_leaves_after_the_new_agreement_has_left(pair: Pair):
    await pair.record()
    pair.profile.clock.advance(60)
    await pair.left(pair.now, told="push")
    await pair.publish()
    assert not await pair.mailed()
    await pair.left(pair.now, told="profile")
    await pair.publish()
    assert (await pair.shown(), await pair.mailed()) == (False, False)


async def test_a_box_that_somebody_ticked_after_the_unsubscribe_brings_nobody_back(pair: Pair):
    left_at = pair.now
    pair.profile.clock.advance(60)
    # profile has not heard of the unsubscribe yet
    await pair.profile.feed(pair.profile.lead(ADDRESS, consent=True))
    await pair.left(left_at)
    await pair.publish()
    assert (await pair.shown(), await pair.mailed()) == (False, False)


async def test_both_say_the_same_when_the_news_of_it_comes_between_a_new_box_and_its_confirmation(
    pair: Pair,
):
    left_at = pair.now
    await pair.left(left_at, told="push")
    pair.profile.clock.advance(60)
    lead = pair.profile.lead(ADDRESS, consent=True)
    await pair.profile.feed(lead)
    pair.profile.clock.advance(60)
    await pair.left(left_at, told="profile")
    await pair.profile.feed(pair.profile.verified(lead))
    await pair.publish()
    assert await pair.shown() == await pair.mailed()

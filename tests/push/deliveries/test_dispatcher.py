"""A dispatcher over a channel that does what the test says."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.push.channels.base import ChannelUnavailable, OutcomeClass, Result
from services.push.deliveries import halts
from services.shared.clock import VirtualClock
from services.shared.errors import DatabaseUnavailable
from services.shared.traffic import Pace
from tests.ground import sqlite_database
from tests.push.deliveries.rig import (
    CAMPAIGN,
    OK,
    FakeChannel,
    LedgerRig,
    contact_key,
    settle,
)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(sqlite_database(tmp_path / "push.sqlite", "push"), VirtualClock())
    yield rig
    await rig.database.close()


def says_ok(_message: Any) -> tuple[OutcomeClass, str]:
    return OK, "250"


async def test_everybody_gets_one_message_with_their_own_links(rig: LedgerRig):
    await rig.people(range(30))
    ids = await rig.plan(*[rig.wish(n) for n in range(30)])
    channel = FakeChannel(rig.clock, says_ok)
    await settle(rig.dispatcher(channel), 20)
    assert sorted(m.address for m in channel.sent) == sorted(
        f"p{n}@shop.example" for n in range(30)
    )
    assert set((await rig.states()).values()) == {("sent", None)}
    message = next(m for m in channel.sent if m.delivery_id == ids[contact_key(7)])
    assert message.values["var:name"] == "P7"
    link = urlsplit(message.values["link:0"])
    assert link.path.startswith("/c/")
    assert parse_qs(link.query) == {"u": ["https://shop.example/new?a=1&b=2"]}
    assert message.unsubscribe_url == message.values["unsubscribe"]
    assert message.unsubscribe_url is not None
    assert urlsplit(message.unsubscribe_url).path.startswith("/u/")


async def test_a_transactional_message_has_no_list_headers(rig: LedgerRig):
    await rig.plan(rig.request(1))
    channel = FakeChannel(rig.clock, says_ok)
    await settle(rig.dispatcher(channel))
    assert [message.unsubscribe_url for message in channel.sent] == [None]


async def test_no_more_than_a_window_is_marked_per_connection(rig: LedgerRig):
    await rig.people(range(40))
    await rig.plan(*[rig.wish(n) for n in range(40)])
    channel = FakeChannel(rig.clock)
    await settle(rig.dispatcher(channel))
    states = [state for state, _ in (await rig.states()).values()]
    assert len(channel.waiting) == states.count("sending") == channel.lanes * channel.window


async def test_a_campaign_larger_than_a_claim_goes_out_without_a_pause(rig: LedgerRig):
    await rig.people(range(60))
    await rig.plan(*[rig.wish(n) for n in range(60)])
    channel = FakeChannel(rig.clock, says_ok)
    began = rig.clock.monotonic()
    await settle(rig.dispatcher(channel, batch=10), 40)
    assert len(channel.sent) == 60
    assert rig.clock.monotonic() == began


async def test_a_message_whose_turn_comes_too_late_is_not_sent_and_goes_back(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1))
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    rig.clock.advance(2.1)
    channel.answer_all()
    assert channel.sent == []
    await settle(dispatcher)
    channel.answer_all()
    await settle(dispatcher)
    assert len(channel.sent) == 1
    assert await rig.states() == {contact_key(1): ("sent", None)}


async def test_an_answer_is_written_although_nothing_follows(rig: LedgerRig):
    await rig.plan(rig.request(1))
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    channel.answer_all()
    assert await dispatcher.step()
    assert await rig.states() == {contact_key(1): ("sent", None)}


async def test_a_refusal_is_tried_again_later_and_not_sooner(rig: LedgerRig):
    await rig.plan(rig.request(1))
    answers = iter([(OutcomeClass.RETRY_LATER, "451"), (OK, "250")])
    channel = FakeChannel(rig.clock, lambda _m: next(answers))
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    assert await rig.states() == {contact_key(1): ("held", "retry")}
    rig.clock.advance(4)
    await settle(dispatcher)
    assert await rig.said() == ["push.held"]
    rig.clock.advance(57)
    await settle(dispatcher)
    assert await rig.said() == ["push.held", "push.sent"]


async def test_a_rate_limit_pauses_the_channel_and_spends_nothing(rig: LedgerRig):
    await rig.people([1, 2])
    ids = await rig.plan(rig.wish(1))
    minute = timedelta(minutes=1)
    channel = FakeChannel(
        rig.clock,
        lambda m: Result(m.delivery_id, OutcomeClass.RATE_LIMITED, "450", retry_after=minute),
    )
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    await rig.plan(rig.wish(2))
    channel.script = says_ok
    await settle(dispatcher)
    assert dispatcher.status.paused == "rate_limited"
    assert (await rig.states())[contact_key(2)] == ("planned", None)
    assert (await rig.row(ids[contact_key(1)])).attempt == 0
    rig.clock.advance(61)
    await settle(dispatcher)
    assert dispatcher.status.paused is None
    assert len(channel.sent) == 2


async def test_a_provider_that_is_away_keeps_everything_waiting(rig: LedgerRig):
    await rig.plan(rig.request(1))
    channel = FakeChannel(rig.clock, says_ok)
    channel.refusal = ChannelUnavailable(OutcomeClass.PERMANENT_CONFIG, "535", "bad password")
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    assert dispatcher.status.trouble == "permanent-config: 535"
    assert await rig.states() == {contact_key(1): ("planned", None)}
    channel.refusal = None
    rig.clock.advance(31)
    await settle(dispatcher)
    assert len(channel.sent) == 1
    assert dispatcher.status.trouble is None


async def test_while_the_gate_is_closed_only_what_was_asked_for_goes_out(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1), rig.request(2))
    closed: list[str | None] = ["view_too_old"]
    channel = FakeChannel(rig.clock, says_ok)
    dispatcher = rig.dispatcher(channel, closed=lambda: closed[0])
    await settle(dispatcher)
    assert [m.address for m in channel.sent] == ["p2@shop.example"]
    assert dispatcher.status.marketing == "view_too_old"
    closed[0] = None
    rig.clock.advance(1)
    await settle(dispatcher)
    assert len(channel.sent) == 2


async def test_what_was_claimed_is_given_back_when_the_gate_closes(rig: LedgerRig):
    await rig.people(range(20))
    await rig.plan(*[rig.wish(n) for n in range(20)])
    closed: list[str | None] = [None]
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel, closed=lambda: closed[0])
    await settle(dispatcher)
    closed[0] = "clock_jumped"
    channel.answer_all()
    await settle(dispatcher)
    states = [state for state, _ in (await rig.states()).values()]
    assert (states.count("sent"), states.count("planned")) == (8, 12)


async def test_no_more_is_claimed_than_there_is_room_for_however_much_is_asked_for(
    rig: LedgerRig,
):
    await rig.plan(*[rig.request(n) for n in range(60)])
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel, batch=10)
    for _ in range(10):
        await settle(dispatcher)
        rig.clock.advance(0.3)
    states = [state for state, _ in (await rig.states()).values()]
    assert states.count("planned") >= 60 - 8 - 2 * 10
    for _ in range(20):
        channel.answer_all()
        await settle(dispatcher)
        rig.clock.advance(0.3)
    assert len(channel.sent) == 60


async def test_a_pause_between_two_windows_is_obeyed(rig: LedgerRig):
    await rig.people(range(20))
    await rig.plan(*[rig.wish(n) for n in range(20)])
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    now = rig.clock.now()
    await rig.database.transaction(lambda s: halts.pause(s, CAMPAIGN, "operator", now))
    channel.answer_all()
    rig.clock.advance(1)
    await settle(dispatcher)
    rig.clock.advance(1)
    await settle(dispatcher)
    assert len(channel.sent) == 8
    held = [state for state in (await rig.states()).values() if state[0] == "held"]
    assert held == [("held", "campaign_paused")] * 12


async def test_a_connection_that_dies_loses_nothing(rig: LedgerRig):
    await rig.people(range(10))
    await rig.plan(*[rig.wish(n) for n in range(10)])
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    await channel.connections[0].close()
    for _ in range(8):
        channel.answer_all()
        await settle(dispatcher, 4)
        rig.clock.advance(0.3)
    assert len(channel.sent) == len({m.delivery_id for m in channel.sent}) == 10


async def test_stopping_finishes_what_is_on_the_wire_and_gives_back_the_rest(rig: LedgerRig):
    await rig.people(range(20))
    await rig.plan(*[rig.wish(n) for n in range(20)])
    channel = FakeChannel(rig.clock)
    dispatcher = rig.dispatcher(channel)
    await settle(dispatcher)
    channel.connections[0].answer()
    await dispatcher.close()
    states = [state for state, _ in (await rig.states()).values()]
    assert (states.count("sent"), states.count("planned")) == (1, 19)


@pytest.mark.parametrize("campaign", [True, False])
async def test_who_follows_steps_aside_for_a_campaign_and_not_for_what_was_asked_for(
    rig: LedgerRig, campaign: bool
):
    await rig.people([1])
    await rig.plan(rig.wish(1) if campaign else rig.request(1))
    channel = FakeChannel(rig.clock)
    stop = asyncio.Event()
    dispatcher = rig.dispatcher(channel)
    consumer = Pace(dispatcher.traffic, rig.clock, most=100)
    running = asyncio.create_task(dispatcher.run(stop))
    while not channel.waiting:
        await asyncio.sleep(0)
        rig.clock.advance(0.005)
    for _ in range(3):  # the dispatcher looks again, its message is on the wire
        dispatcher.wake()
        channel.answer_all()
        await asyncio.sleep(0)
    dispatcher.traffic.leave_following(0.02)
    turn = asyncio.ensure_future(consumer.enter())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert turn.done() is not campaign
    stop.set()
    while not (turn.done() and running.done()):
        await asyncio.sleep(0)
        rig.clock.advance(0.05)


async def test_run_ends_when_told_to(rig: LedgerRig):
    await rig.plan(rig.request(1))
    channel = FakeChannel(rig.clock, says_ok)
    stop = asyncio.Event()
    dispatcher = rig.dispatcher(channel)
    running = asyncio.create_task(dispatcher.run(stop))
    for _ in range(200):
        await asyncio.sleep(0)
        if channel.sent:
            break
        rig.clock.advance(0.05)
    stop.set()
    for _ in range(50):
        rig.clock.advance(0.05)
        await asyncio.sleep(0)
    await running
    assert len(channel.sent) == 1
    assert await rig.states() == {contact_key(1): ("sent", None)}


class Fickle:
    """A database whose commits fail when told to: before they happen, or after."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.fail: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def transaction(self, work: Any) -> Any:
        fail, self.fail = self.fail, None
        if fail == "before":
            raise DatabaseUnavailable
        result = await self.inner.transaction(work)
        if fail == "after":
            raise DatabaseUnavailable
        return result


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_commit_that_nobody_heard_of_neither_loses_nor_doubles(rig: LedgerRig, moment: str):
    await rig.people(range(6))
    await rig.plan(*[rig.wish(n) for n in range(6)])
    fickle = Fickle(rig.database)
    rig.database = fickle
    channel = FakeChannel(rig.clock, says_ok)
    dispatcher = rig.dispatcher(channel)
    failures = 0
    for turn in range(40):
        if turn % 3 == 1:
            fickle.fail = moment
        try:
            await dispatcher.step()
        except DatabaseUnavailable:
            failures += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rig.clock.advance(1)
    fickle.fail = None
    rig.clock.advance(40)
    await settle(dispatcher)
    assert failures > 3
    addresses = [m.address for m in channel.sent]
    assert len(addresses) == len(set(addresses)) == 6
    assert set((await rig.states()).values()) == {("sent", None)}

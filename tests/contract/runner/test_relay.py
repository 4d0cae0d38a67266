"""The relay: what is in the outbox reaches the log, in order per key, however it is interrupted."""

import asyncio
from typing import Any

import pytest
from sqlmodel import Session

from services.shared import outbox
from services.shared.bus import BusUnavailable, MessageTooLarge
from services.shared.events import Message
from services.shared.outbox import Relay
from tests.components.waiting import PATIENCE
from tests.contract.runner.stands import Stand, lead, new_key, until


def relay(stand: Stand, holder: str = "one", **parts: Any) -> Relay:
    return Relay(
        parts.pop("database", stand.database),
        parts.pop("bus", stand.bus),
        stand.clock,
        holder=holder,
        **parts,
    )


def numbers(messages: list[Message], key: str) -> list[int]:
    wanted = {lead(key, number).value: number for number in range(200)}
    return [wanted[message.value] for message in messages if message.key == key]


async def drained(stand: Stand) -> None:
    async with asyncio.timeout(PATIENCE):
        while await stand.in_outbox():  # noqa: ASYNC110  what waits is another process's table
            await asyncio.sleep(0.02)


async def test_what_is_said_is_relayed_in_order_and_deleted(stand: Stand) -> None:
    one, other = new_key(), new_key()
    for number in range(30):
        await stand.say(lead(one, number), lead(other, number))
    running, stop = relay(stand, batch=7), asyncio.Event()
    task = asyncio.ensure_future(running.run(stop))
    await drained(stand)
    stop.set()
    running.wake()
    await asyncio.wait_for(task, PATIENCE)
    for key in (one, other):
        assert numbers(stand.bus.published, key) == list(range(30))
    assert running.published == 60


async def test_a_commit_wakes_the_relay_at_once(stand: Stand) -> None:
    key = new_key()
    running, stop = relay(stand), asyncio.Event()
    task = asyncio.ensure_future(running.run(stop))
    await stand.say(lead(key, 0))
    await until(lambda: numbers(stand.bus.published, key) == [0], "the first is relayed")
    stop.set()
    running.wake()
    await asyncio.wait_for(task, PATIENCE)


async def test_what_is_undone_is_never_said(stand: Stand) -> None:
    key = new_key()

    def work(session: Session) -> None:
        outbox.put(session, [lead(key, 0)], stand.clock.now())
        raise LookupError

    with pytest.raises(LookupError):
        await stand.database.transaction(work)
    assert await stand.in_outbox() == 0


async def test_a_crash_between_publishing_and_deleting_repeats_and_loses_nothing(
    stand: Stand,
) -> None:
    key = new_key()
    await stand.say(*(lead(key, number) for number in range(5)))
    dying = relay(stand)

    class Killed(BaseException):
        pass

    async def dies(work: Any) -> Any:
        raise Killed

    publish = stand.bus.publish

    async def publish_and_die(messages: Any) -> None:
        await publish(messages)
        stand.database.transaction = dies  # type: ignore[method-assign]  # the process ends here

    assert await dying._has_lease()
    stand.bus.publish = publish_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        await dying.step()
    stand.bus.publish = publish  # type: ignore[method-assign]
    del stand.database.transaction
    assert await stand.in_outbox() == 5
    assert await relay(stand).step() == 5
    assert await stand.in_outbox() == 0
    assert numbers(stand.bus.published, key) == [0, 1, 2, 3, 4] * 2


async def test_only_the_holder_of_the_lease_relays(stand: Stand) -> None:
    key = new_key()
    database = await stand.another_database()
    first, second = relay(stand, "one"), relay(stand, "two", database=database)
    await stand.say(lead(key, 0))
    assert await first.step() == 1
    await stand.say(lead(key, 1))
    assert await second.step() == 0
    assert await first.step() == 1
    stop = asyncio.Event()
    stop.set()
    await first.run(stop)  # ends at once and gives the lease back
    await stand.say(lead(key, 2))
    assert await second.step() == 1
    assert numbers(stand.bus.published, key) == [0, 1, 2]


async def test_while_the_log_is_away_the_outbox_grows_and_drains_afterwards(stand: Stand) -> None:
    key = new_key()
    stand.bus.away = True
    running, stop = relay(stand), asyncio.Event()
    task = asyncio.ensure_future(running.run(stop))
    for number in range(10):
        await stand.say(lead(key, number))
    state = await stand.database.read(outbox.state)
    assert state.depth == 10
    assert state.oldest is not None
    assert (stand.clock.now() - state.oldest).total_seconds() < 60
    assert numbers(stand.bus.published, key) == []
    stand.bus.away = False
    await drained(stand)
    stop.set()
    running.wake()
    await asyncio.wait_for(task, PATIENCE)
    assert numbers(stand.bus.published, key) == list(range(10))
    assert await stand.database.read(outbox.state) == outbox.OutboxState(0, None)


async def test_an_answer_that_got_lost_means_a_repeat(stand: Stand) -> None:
    key = new_key()
    await stand.say(lead(key, 0), lead(key, 1))
    stand.bus.forgets = 1
    running = relay(stand)
    with pytest.raises(BusUnavailable):
        await running.step()
    assert await running.step() == 2
    assert numbers(stand.bus.published, key) == [0, 1, 0, 1]


async def test_while_the_database_is_away_the_relay_waits(stand: Stand) -> None:
    key = new_key()
    running, stop = relay(stand), asyncio.Event()
    stand.database.away = True
    task = asyncio.ensure_future(running.run(stop))
    await until(lambda: stand.database.works, "the relay has tried")
    stand.database.away = False
    await stand.say(lead(key, 0))
    await drained(stand)
    stand.database.away = True
    stop.set()
    running.wake()
    await asyncio.wait_for(task, PATIENCE)  # it can't give the lease back: that runs out


async def test_a_message_that_the_log_would_never_take_is_refused_when_it_is_said(
    stand: Stand,
) -> None:
    with pytest.raises(MessageTooLarge):
        await stand.say(Message("leads", new_key(), (), b"x" * 1_000_000))
    assert await stand.in_outbox() == 0

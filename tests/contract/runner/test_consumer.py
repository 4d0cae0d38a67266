"""The consumer runner: each effect once, in order per key, whoever else acts or restarts."""

import asyncio
from typing import Any

from sqlmodel import Session

from services.shared.clock import EPOCH
from services.shared.events import Message, Tombstone, encode, tombstone
from services.shared.events.leads import LeadVerified
from services.shared.events.profiles import LogMarker
from services.shared.ids import derived
from services.shared.runner import positions
from tests.components.waiting import PATIENCE
from tests.contract.runner.stands import EFFECTS, TOPICS, Stand, lead, new_key, until


async def test_what_is_published_is_handled_in_order_per_key(stand: Stand) -> None:
    one, other = new_key(), new_key()
    async with stand.running(stand.runner()):
        for number in range(5):
            await stand.bus.publish([lead(one, number), lead(other, number)])
        await stand.until(one, range(5))
        await stand.until(other, range(5))


async def test_a_restart_goes_on_where_the_last_one_ended(stand: Stand) -> None:
    key = new_key()
    await stand.bus.publish([lead(key, number) for number in range(3)])
    async with stand.running(stand.runner()):
        await stand.until(key, range(3))
    await stand.bus.publish([lead(key, number) for number in range(3, 6)])
    async with stand.running(stand.runner()):
        await stand.until(key, range(6))


async def test_what_comes_again_is_not_handled_again(stand: Stand) -> None:
    key = new_key()
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish([lead(key, number) for number in range(3)])
        await stand.until(key, range(3))
    # the same member, from the same place in memory, after somebody else has gone on
    other = stand.runner("other")
    async with stand.running(other):
        await stand.bus.publish([lead(key, number) for number in range(3, 6)])
        await stand.until(key, range(6))
    async with stand.running(runner):
        await stand.bus.publish([lead(key, 6)])
        await stand.until(key, range(7))


async def test_a_zombie_that_wakes_up_acts_on_nothing(stand: Stand) -> None:
    """It has fetched records; meanwhile its partition has gone to another, which has handled them."""
    key = new_key()
    asleep, wakes = asyncio.Event(), asyncio.Event()
    sleeping = await stand.another_database()
    real = sleeping.transaction

    async def transaction(work: Any) -> Any:
        if not wakes.is_set():
            asleep.set()
            await wakes.wait()
        return await real(work)

    sleeping.transaction = transaction  # type: ignore[method-assign]  # this process sleeps
    zombie = stand.runner("zombie", database=sleeping)
    stop = asyncio.Event()
    undead = asyncio.ensure_future(zombie.run(stop))
    await until(lambda: zombie._at, "the zombie has joined")
    await stand.bus.publish([lead(key, number) for number in range(3)])
    await asyncio.wait_for(asleep.wait(), PATIENCE)

    async def succeed() -> None:
        successor = stand.runner("a", bus=await stand.another_bus())
        # What the group thinks does not matter: both believe the partition to be theirs.
        successor.spec = zombie.spec
        async with stand.running(successor):
            if stand.bus.inner.__class__.__name__ == "SqliteBus":
                await stand.until(key, range(3))
                return
            stop.set()
            await stand.until(key, range(3))

    await succeed()
    wakes.set()
    stop.set()
    await asyncio.wait_for(undead, PATIENCE)
    assert await stand.effects(key) == {key: [0, 1, 2]}


async def test_a_position_that_is_set_back_is_read_again_from_there(stand: Stand) -> None:
    key = new_key()
    begin = await stand.database.read(lambda s: positions.stored(s, stand.consumer, TOPICS))
    async with stand.running(stand.runner()):
        await stand.bus.publish([lead(key, number) for number in range(3)])
        await stand.until(key, range(3))

        def back(session: Session) -> None:
            positions.forget(session, stand.consumer, TOPICS)
            session.execute(EFFECTS.delete())
            session.execute(
                positions.POSITIONS.insert(),
                [
                    {
                        "consumer": stand.consumer,
                        "topic": partition.topic,
                        "partition": partition.number,
                        "next": at,
                    }
                    for partition, at in begin.items()
                ],
            )

        await stand.database.transaction(back)
        await stand.bus.publish([lead(key, 3)])
        await stand.until(key, range(4))


async def test_nothing_is_lost_by_stopping_in_the_middle(stand: Stand) -> None:
    keys = [new_key() for _ in range(4)]
    await stand.bus.publish([lead(key, number) for number in range(20) for key in keys])
    for _ in range(6):
        async with stand.running(stand.runner()):
            await asyncio.sleep(0.01)
    async with stand.running(stand.runner()):
        for key in keys:
            await stand.until(key, range(20))
    assert await stand.parked() == []


async def test_an_unknown_type_stops_the_consumer_with_a_clear_word(stand: Stand) -> None:
    key = new_key()
    newer = Message(
        "leads", key, (("ce_type", "baitwell.lead.applauded.v7"), ("ce_id", "1")), b"{}"
    )
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish([lead(key, 0), lead(key, 1), newer, lead(key, 2)])
        await until(lambda: runner.stopped, "the consumer has stopped")
        assert runner.stopped is not None
        assert "baitwell.lead.applauded.v7" in runner.stopped
        await stand.until(key, [0, 1])
        assert await stand.parked() == []
    # a program that knows it goes on there: nothing was skipped
    lag = await positions.lag(stand.database._inner, stand.bus.inner, stand.consumer, TOPICS)
    assert sum(lag.values()) == 2


async def test_what_comes_behind_an_unknown_type_waits_also_when_a_batch_takes_several_turns(
    stand: Stand,
) -> None:
    key = new_key()
    newer = Message("leads", key, (("ce_type", "baitwell.lead.applauded.v7"),), b"{}")
    # each says as much as fills a turn; they are there before the consumer, and are read at once
    long = [
        said._replace(value=(said.value or b"") + b" " * 300_000)
        for said in (lead(key, number) for number in range(5))
    ]
    await stand.bus.publish([*long[:3], newer, *long[3:]])
    runner = stand.runner()
    async with stand.running(runner):
        await until(lambda: runner.stopped, "the consumer has stopped")
        await stand.until(key, range(3))
    lag = await positions.lag(stand.database._inner, stand.bus.inner, stand.consumer, TOPICS)
    assert sum(lag.values()) == 3


async def test_an_unknown_type_is_not_parked_behind_a_parked_record_either(stand: Stand) -> None:
    key = new_key()
    stand.handling.poison.add((key, 0))
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish([lead(key, 0)])
        await stand.until_parked(1)
        await stand.bus.publish([Message("leads", key, (("ce_type", "baitwell.new.v1"),), b"{}")])
        await until(lambda: runner.stopped, "the consumer has stopped")
        assert len(await stand.parked()) == 1


async def test_what_replaces_a_known_type_is_skipped(stand: Stand) -> None:
    key = new_key()
    both = [
        lead(key, 0),
        Message(
            "leads",
            key,
            (
                ("ce_type", "baitwell.lead.verified.v2"),
                ("ce_replaces", LeadVerified.ce_type()),
                ("ce_id", "1"),
            ),
            b'{"of": "another shape"}',
        ),
        lead(key, 1),
    ]
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish(both)
        await stand.until(key, [0, 1])
    assert runner.stopped is None


async def test_markers_and_scrubbed_records_are_skipped(stand: Stand) -> None:
    key = new_key()
    said = lead(key, 0)
    scrubbed = Message("leads", key, (*said.headers, ("scrubbed", "1")), b"{}")
    marker = encode(
        LogMarker(day="2026-03-02"),
        event_id=derived("marker", key),
        key=key,
        occurred_at=EPOCH,
        source="profile",
    )
    async with stand.running(stand.runner()):
        await stand.bus.publish([scrubbed, marker, lead(key, 1)])
        await stand.until(key, [1])
    assert await stand.parked() == []


async def test_tombstones_reach_the_handler_that_asks_for_them(stand: Stand) -> None:
    key = new_key()
    gone: list[str] = []

    def forget(_session: Session, events: Any) -> None:
        gone.extend(received.key for received in events)

    handlers = {LeadVerified: stand.handling.act, Tombstone: forget}
    async with stand.running(stand.runner(handlers=handlers)):
        await stand.bus.publish([tombstone("profiles", key), lead(key, 0)])
        await stand.until(key, [0])
        await until(lambda: key in gone, "the tombstone was handled")


async def test_what_nobody_handles_is_passed_over(stand: Stand) -> None:
    key = new_key()
    async with stand.running(stand.runner()):
        await stand.bus.publish([tombstone("profiles", key), lead(key, 0)])
        await stand.until(key, [0])
        assert await stand.parked() == []


async def test_two_members_share_the_work(stand: Stand) -> None:
    keys = [new_key() for _ in range(8)]
    second = stand.runner("b", bus=await stand.another_bus())
    async with stand.running(stand.runner("a"), second):
        for number in range(10):
            await stand.bus.publish([lead(key, number) for key in keys])
        for key in keys:
            await stand.until(key, range(10))

"""Poison stops nobody, an outage parks nothing, and what was parked is replayed in order, once."""

import asyncio

from services.shared.events import Message, Record
from services.shared.runner import parked, positions
from tests.components.waiting import PATIENCE
from tests.contract.runner.stands import TOPICS, Stand, lead, new_key, until


async def test_a_poison_record_is_parked_and_what_follows_under_its_key_waits_behind_it(
    stand: Stand,
) -> None:
    sick, well = new_key(), new_key()
    stand.handling.poison.add((sick, 1))
    async with stand.running(stand.runner()):
        await stand.bus.publish([lead(key, number) for number in range(3) for key in (sick, well)])
        await stand.until(well, range(3))
        rows = await stand.until_parked(2)
        await stand.bus.publish([lead(sick, 3), lead(well, 3)])
        await stand.until(well, range(4))
        rows = await stand.until_parked(3)
    assert await stand.effects(sick) == {sick: [0]}
    assert [row.key for row in rows] == [sick] * 3
    assert rows[0].attempts == 3
    assert "ValueError" in rows[0].reason
    assert "personal" not in rows[0].reason, "the text of an error may quote data"
    assert all("behind" in row.reason for row in rows[1:])


async def test_a_poison_record_in_a_long_batch_delays_the_others_by_less_than_a_second(
    stand: Stand,
) -> None:
    sick = new_key()
    keys = [new_key() for _ in range(200)]
    stand.handling.poison.add((sick, 0))
    messages = [lead(key, 0) for key in keys]
    messages.insert(100, lead(sick, 0))
    await stand.bus.publish(messages)
    runner = stand.runner()
    async with stand.running(runner):
        await stand.until_parked(1)
        for key in keys:
            await stand.until(key, [0])
    transactions = stand.database.works
    assert transactions < 60, f"{transactions} works to find one culprit in 201"


async def test_a_replay_after_the_fix_acts_once_and_in_order(stand: Stand) -> None:
    sick, sicker = new_key(), new_key()
    stand.handling.poison |= {(sick, 0), (sicker, 0)}
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish(
            [lead(key, number) for number in range(4) for key in (sick, sicker)]
        )
        await stand.until_parked(8)
        assert await runner.replay() == (0, 2)
        stand.handling.poison = {(sicker, 0)}
        assert await runner.replay() == (4, 1)
        await stand.bus.publish([lead(sick, 4)])
        await stand.until(sick, range(5))
        stand.handling.poison.clear()
        assert await runner.replay() == (4, 0)
        assert await runner.replay() == (0, 0)
    assert await stand.effects(sick, sicker) == {sick: [0, 1, 2, 3, 4], sicker: [0, 1, 2, 3]}
    assert await stand.parked() == []


async def test_keys_that_stay_stuck_do_not_hide_those_that_could_go_on(stand: Stand) -> None:
    stuck = [new_key() for _ in range(120)]
    late = new_key()
    stand.handling.poison |= {(key, 0) for key in stuck}
    records = [
        Record("leads", 0, offset, said.key, said.headers, said.value)
        for offset, said in enumerate(lead(key, 0) for key in [*stuck, late])
    ]
    await stand.database.transaction(
        lambda s: parked.park(s, stand.consumer, records, "a bug", 3, stand.clock.now())
    )
    assert await stand.runner().replay() == (1, 120)
    assert await stand.effects(late) == {late: [0]}


async def test_two_replays_at_once_act_once(stand: Stand) -> None:
    key = new_key()
    stand.handling.poison.add((key, 0))
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish([lead(key, number) for number in range(5)])
        await stand.until_parked(5)
    stand.handling.poison.clear()
    other = stand.runner("other", database=await stand.another_database())
    await asyncio.gather(runner.replay(), other.replay())
    assert await stand.effects(key) == {key: [0, 1, 2, 3, 4]}
    assert await stand.parked() == []


async def test_while_the_database_is_away_nothing_is_parked_and_nothing_lost(
    stand: Stand,
) -> None:
    key = new_key()
    runner = stand.runner()
    async with stand.running(runner):
        await stand.bus.publish([lead(key, 0)])
        await stand.until(key, [0])
        stand.handling.poison.add((key, 2))
        stand.database.away = True
        await stand.bus.publish([lead(key, number) for number in range(1, 4)])
        before = stand.database.works
        await until(lambda: stand.database.works > before + 3, "the runner has tried a few times")
        assert await stand.parked() == []
        stand.database.away = False
        await stand.until(key, [0, 1])
        rows = await stand.until_parked(2)
    assert [row.key for row in rows] == [key, key]


async def test_stopping_while_the_database_is_away_is_quick(stand: Stand) -> None:
    key = new_key()
    runner = stand.runner()
    stop = asyncio.Event()
    running = asyncio.ensure_future(runner.run(stop))
    await until(lambda: runner._at, "the runner has joined")
    stand.database.away = True
    await stand.bus.publish([lead(key, 0)])
    before = stand.database.works
    await until(lambda: stand.database.works > before + 1, "the runner waits for the database")
    stop.set()
    await asyncio.wait_for(running, PATIENCE)
    stand.database.away = False
    async with stand.running(stand.runner()):
        await stand.until(key, [0])


async def test_records_that_no_program_can_read_are_parked_with_the_reason(stand: Stand) -> None:
    key = new_key()
    bad = [
        Message("leads", f"{key}-1", (), b"no envelope"),
        Message("leads", f"{key}-2", (("ce_type", "baitwell.lead.verified.v1"),), b"{not json"),
        Message("leads", f"{key}-3", (("ce_type", "baitwell.lead.verified.v1"),), b"{}"),
        Message("leads", f"{key}-4", (*lead(key, 0).headers[:1], ("x", "a\x00b")), b"\x00\xff"),
        Message("leads", f"{key}-5" + "x" * 300, (), b""),
        Message("leads", f"{key}-6\x00", (), b""),
    ]
    async with stand.running(stand.runner()):
        await stand.bus.publish([*bad, lead(key, 0)])
        await stand.until(key, [0])
        rows = await stand.until_parked(len(bad))
    assert len(rows) == len(bad)
    assert all(row.reason.startswith("BadRecord: ") for row in rows)


async def test_reading_everything_again_does_not_trip_over_what_is_parked(stand: Stand) -> None:
    key = new_key()
    stand.handling.poison.add((key, 0))
    runner = stand.runner()
    begin = await stand.database.read(lambda s: positions.stored(s, stand.consumer, TOPICS))
    async with stand.running(runner):
        await stand.bus.publish([lead(key, 0), lead(key, 1)])
        await stand.until_parked(2)
        after = await stand.database.read(lambda s: positions.stored(s, stand.consumer, TOPICS))

        def back(session: object) -> None:
            for partition, at in begin.items():
                if after[partition] != at:
                    positions.move(session, stand.consumer, partition, after[partition], at)  # type: ignore[arg-type]

        await stand.database.transaction(back)
        other = new_key()
        await stand.bus.publish([lead(other, 0), lead(key, 2)])
        await stand.until(other, [0])
        rows = await stand.until_parked(3)
    assert len(rows) == 3

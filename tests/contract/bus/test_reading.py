"""What is published comes back: in order, whole, from where the reader says."""

import asyncio
import time

import pytest

from services.shared.bus import Bus, Partition
from services.shared.events import Message, tombstone
from tests.components.waiting import PATIENCE
from tests.contract.bus.readers import Reader, new_key, numbered, values
from tests.contract.bus.stands import Stand, collect, has_joined, new_group


async def test_each_key_keeps_its_order_and_its_partition(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    keys = [new_key() for _ in range(5)]
    for number in range(40):
        await bus.publish([m for key in keys for m in numbered("leads", key, 1, number)])
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    records = await collect(member, reader, lambda found: len(found) >= 200)
    for key in keys:
        assert values(records, key) == list(range(40))
        assert len({record.partition for record in records if record.key == key}) == 1


async def test_publishing_at_once_keeps_the_order_of_each_publisher(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    keys = [new_key() for _ in range(4)]
    await asyncio.gather(*(bus.publish(numbered("leads", key, 50)) for key in keys))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    records = await collect(member, reader, lambda found: len(found) >= 200)
    for key in keys:
        assert values(records, key) == list(range(50))


async def test_a_record_comes_back_as_it_was_said(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    said = [
        Message(
            "leads", new_key(), (("ce_type", "a.b.v1"), ("名", "值 \"'\\\n")), b'{"a": "\xc3\xa9"}'
        ),
        Message("leads", new_key(), (("same", "1"), ("same", "2")), bytes(range(256))),
        Message("views", new_key(), (), b""),
        tombstone("profiles", new_key()),
    ]
    await bus.publish(said)
    member = await bus.subscribe(new_group(), "a", ["leads", "views", "profiles"], reader.positions)
    records = await collect(member, reader, lambda found: len(found) >= 4)
    heard = {r.key: Message(r.topic, r.key, r.headers, r.value) for r in records}
    assert heard == {message.key: message for message in said}


async def test_ten_thousand_records_in_one_call(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    keys = [new_key() for _ in range(100)]
    await bus.publish([m for n in range(100) for key in keys for m in numbered("leads", key, 1, n)])
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    records = await collect(member, reader, lambda found: len(found) >= 10_000)
    assert all(values(records, key) == list(range(100)) for key in keys)


async def test_a_reader_begins_at_its_stored_position(stand: Stand, bus: Bus) -> None:
    store = await stand.store(bus)
    key = new_key()
    await bus.publish(numbered("leads", key, 10))
    first = Reader(store)
    member = await bus.subscribe(new_group(), "a", ["leads"], first.positions)
    records = await collect(member, first, lambda found: len(found) >= 10)
    store.put({Partition("leads", records[0].partition): records[6].offset})
    second = Reader(store)
    again = await bus.subscribe(new_group(), "a", ["leads"], second.positions)
    records = await collect(again, second, bool)
    assert values(records, key) == [6, 7, 8, 9]


async def test_without_a_stored_position_a_reader_begins_at_the_oldest(
    stand: Stand, bus: Bus
) -> None:
    key = new_key()
    await bus.publish(numbered("views", key, 3))
    beginnings = await bus.beginnings(["views"])

    async def nothing_stored(_: object) -> dict[Partition, int]:
        return {}

    member = await bus.subscribe(new_group(), "a", ["views"], nothing_stored)
    firsts: dict[Partition, int] = {}
    found: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while found != [0, 1, 2]:
            for batch in await member.fetch(1000, 1.0):
                firsts.setdefault(batch.partition, batch.first)
                found += values(batch.records, key)
    assert all(first == beginnings[partition] for partition, first in firsts.items())


async def test_what_was_not_applied_is_handed_out_again_after_seek(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    key = new_key()
    await bus.publish(numbered("leads", key, 10))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    async with asyncio.timeout(PATIENCE):
        while not (batches := await member.fetch(4, 1.0)):
            pass
    dropped = batches[0]
    await member.seek(dropped.partition)
    records = await collect(member, reader, lambda found: len(found) >= 10)
    assert records[0].offset == dropped.first
    assert values(records, key) == list(range(10))


async def test_fetch_hands_out_no_more_than_asked(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    await bus.publish([m for _ in range(30) for m in numbered("leads", new_key(), 10)])
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    read = 0
    async with asyncio.timeout(PATIENCE):
        while read < 300:
            batches = await member.fetch(70, 1.0)
            assert len({batch.partition for batch in batches}) == len(batches)
            size = sum(len(batch.records) for batch in batches)
            assert size <= 70
            read += size
    assert read == 300


async def test_waiting_without_records_ends_in_time(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    begun = time.monotonic()
    async with asyncio.timeout(PATIENCE):
        assert await member.fetch(10, 0.3) == []
    assert time.monotonic() - begun > 0.25


async def test_a_waiting_reader_hears_of_a_new_record_at_once(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    waiting = asyncio.ensure_future(member.fetch(10, 600.0))
    await asyncio.sleep(0)
    await bus.publish(numbered("leads", new_key(), 1))
    async with asyncio.timeout(PATIENCE):
        (batch,) = await waiting
    assert [record.value for record in batch.records] == [b"0"]


async def test_a_cancelled_fetch_loses_nothing(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    key = new_key()
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    for number in range(20):
        waiting = asyncio.ensure_future(member.fetch(10, 5.0))
        await asyncio.sleep(0)
        await bus.publish(numbered("leads", key, 1, number))
        waiting.cancel()
        await asyncio.wait({waiting})
        if not waiting.cancelled():
            for batch in waiting.result():
                await member.seek(batch.partition)
    records = await collect(member, reader, lambda found: len(found) >= 20)
    assert values(records, key) == list(range(20))


async def test_an_error_of_the_lookup_reaches_the_reader_who_may_ask_again(
    stand: Stand, bus: Bus
) -> None:
    reader = Reader(await stand.store(bus))
    away = [True]

    async def positions(partitions: object) -> dict[Partition, int]:
        if away.pop() if away else False:
            raise ConnectionError("the database is away")
        return await reader.positions(partitions)  # type: ignore[arg-type]

    await bus.publish(numbered("leads", new_key(), 3))
    member = await bus.subscribe(new_group(), "a", ["leads"], positions)
    await has_joined(member)
    with pytest.raises(ConnectionError):
        await member.fetch(10, 1.0)
    assert len(await collect(member, reader, lambda found: len(found) >= 3)) == 3


async def test_a_position_that_the_log_does_not_know_is_a_gap(stand: Stand, bus: Bus) -> None:
    store = await stand.store(bus)
    key = new_key()
    await bus.publish(numbered("views", key, 3))
    ends = await bus.ends(["views"])
    store.put({partition: end + 1000 for partition, end in ends.items()})
    reader = Reader(store)
    member = await bus.subscribe(new_group(), "a", ["views"], reader.positions)
    found: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while found != [0, 1, 2]:
            for batch in await member.fetch(1000, 1.0):
                found += values(batch.records, key)
    assert member.gaps > 0


async def test_the_ends_move_by_what_is_published(bus: Bus) -> None:
    before = await bus.ends(["leads"])
    await bus.publish(numbered("leads", new_key(), 7))
    after = await bus.ends(["leads"])
    beginnings = await bus.beginnings(["leads"])
    assert sum(after.values()) - sum(before.values()) == 7
    assert before.keys() == after.keys() == beginnings.keys()
    assert all(beginnings[partition] <= before[partition] for partition in before)

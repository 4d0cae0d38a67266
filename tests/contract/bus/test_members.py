"""Groups: who reads what, and what happens when members come, go, and oversleep."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from services.shared.bus import Batch, Bus, Subscription
from services.shared.events import Record
from tests.components.waiting import PATIENCE, eventually
from tests.contract.bus.readers import Reader, Store, new_key, numbered, values
from tests.contract.bus.stands import Stand, collect, has_joined, new_group

T = TypeVar("T")

BOTH = ["leads", "views"]


async def test_members_of_a_group_share_the_partitions(stand: Stand, bus: Bus) -> None:
    store, group = await stand.store(bus), new_group()
    readers = [Reader(store), Reader(store)]
    members = [
        await bus.subscribe(group, name, BOTH, reader.positions)
        for name, reader in zip("ab", readers, strict=True)
    ]
    everything = await has_joined(*members)
    assert everything == frozenset(await bus.ends(BOTH))
    sent = [m for topic in BOTH for _ in range(50) for m in numbered(topic, new_key(), 2)]
    await bus.publish(sent)
    done = asyncio.gather(
        *(
            collect(member, reader, lambda _: len(store.effects) >= 200)
            for member, reader in zip(members, readers, strict=True)
        )
    )
    shares = await done
    assert all(shares)
    assert sorted(store.effects, key=str) == sorted(((m.key, m.value) for m in sent), key=str)


async def test_each_group_gets_everything(stand: Stand, bus: Bus) -> None:
    readers = [Reader(await stand.store(bus)) for _ in range(2)]
    key = new_key()
    await bus.publish(numbered("leads", key, 20))
    for reader in readers:
        member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
        records = await collect(member, reader, lambda found: len(found) >= 20)
        assert values(records, key) == list(range(20))


async def test_who_joins_takes_a_share_and_gives_it_back_on_leaving(stand: Stand, bus: Bus) -> None:
    store, group, keys = await stand.store(bus), new_group(), [new_key() for _ in range(30)]
    sent = 0

    async def say() -> int:
        nonlocal sent
        for topic in BOTH:
            await bus.publish([m for key in keys for m in numbered(topic, key, 1, sent)])
        sent += 1
        return sent * 60

    stays = Reader(store)
    staying = await bus.subscribe(group, "stays", BOTH, stays.positions)
    alone = await has_joined(staying)
    enough = await say()
    await collect(staying, stays, lambda _: len(store.effects) >= enough)

    comes = Reader(store)
    coming = await bus.subscribe(group, "comes", BOTH, comes.positions)
    await eventually(coming.assigned, "the second member reads something")
    assert await has_joined(staying, coming) == alone
    enough = await say()
    await asyncio.gather(
        collect(staying, stays, lambda _: len(store.effects) >= enough),
        collect(coming, comes, lambda _: len(store.effects) >= enough),
    )

    await coming.close()
    enough = await say()
    await collect(staying, stays, lambda _: len(store.effects) >= enough)
    assert staying.assigned() == alone
    for key in keys:
        told = [int(value or b"") for name, value in store.effects if name == key]
        assert sorted(told) == [0, 0, 1, 1, 2, 2]


async def test_a_member_that_comes_back_under_its_name_goes_on(stand: Stand, bus: Bus) -> None:
    store, group, key = await stand.store(bus), new_group(), new_key()
    former = Reader(store)
    await bus.publish(numbered("leads", key, 5))
    member = await bus.subscribe(group, "a", ["leads"], former.positions)
    await collect(member, former, lambda found: len(found) >= 5)
    # A crash: nobody said good-bye.
    await bus.publish(numbered("leads", key, 5, 5))
    later = Reader(store)
    other = bus if stand.name == "sqlite" else await stand.bus()
    successor = await other.subscribe(group, "a", ["leads"], later.positions)
    records = await collect(successor, later, lambda found: len(found) >= 5)
    assert values(records, key) == [5, 6, 7, 8, 9]


async def test_a_paused_partition_is_silent_until_seek(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    paused, other = new_key(), new_key()
    member = await bus.subscribe(new_group(), "a", BOTH, reader.positions)
    await bus.publish(numbered("leads", paused, 1))
    (record,) = await collect(member, reader, bool)
    partition = next(
        p for p in member.assigned() if (p.topic, p.number) == ("leads", record.partition)
    )
    member.pause(partition)
    await bus.publish(numbered("leads", paused, 3, 1) + numbered("views", other, 3))
    records = await collect(member, reader, lambda found: len(values(found, other)) == 3)
    assert values(records, paused) == []
    assert await member.fetch(100, 0.3) == []

    waiting = asyncio.ensure_future(member.fetch(100, 600.0))
    await asyncio.sleep(0)
    await member.seek(partition)
    async with asyncio.timeout(PATIENCE):
        (batch,) = await waiting
    assert values(batch.records, paused) == [1, 2, 3]


async def test_restart_goes_on_at_the_stored_positions(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    key = new_key()
    await bus.publish(numbered("leads", key, 6))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    records: list[Record] = []
    async with asyncio.timeout(PATIENCE):
        while not records:
            for batch in await member.fetch(3, 1.0):
                assert reader.apply(batch)
                records += batch.records
        while not await member.fetch(1, 1.0):  # handed out, never applied
            pass
    await member.restart()
    records += await collect(member, reader, lambda found: len(found) >= 6 - len(records))
    assert values(records, key) == [0, 1, 2, 3, 4, 5]


class Sleeper:
    """A member in a thread and a loop of its own, which can be stopped as SIGSTOP stops a process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    async def run(self, what: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(what, self.loop)
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._wake.wait)

    def wake(self) -> None:
        self._wake.set()

    def end(self) -> None:
        self.wake()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


async def _first_batch(member: Subscription) -> Batch:
    async with asyncio.timeout(PATIENCE):
        while not (batches := await member.fetch(2, 1.0)):
            pass
    return batches[0]


async def _succeeds(stand: Stand, store: Store, group: str, key: str) -> list[int]:
    bus = await stand.bus()
    reader = Reader(store)
    successor = await bus.subscribe(group, "successor", ["leads"], reader.positions)
    return values(await collect(successor, reader, lambda found: len(found) >= 4), key)


async def test_a_member_that_overslept_changes_nothing(stand: Stand, bus: Bus) -> None:
    """It holds records from before, and hands out more, of a partition that another one reads by now."""
    store, group, key = await stand.store(bus), new_group(), new_key()
    await bus.publish(numbered("leads", key, 4))
    zombie = Reader(store)
    if stand.name == "sqlite":
        # One process: a member can't oversleep, but what it was handed can outlive its membership.
        member = await bus.subscribe(group, "zombie", ["leads"], zombie.positions)
        held = [await _first_batch(member)]
        await bus.close()
        assert await _succeeds(stand, store, group, key) == [0, 1, 2, 3]
    else:
        sleeper = Sleeper()
        try:
            other: Bus = await sleeper.run(stand.bus())
            asleep: Subscription = await sleeper.run(
                other.subscribe(group, "zombie", ["leads"], zombie.positions)
            )
            held = [await sleeper.run(_first_batch(asleep))]
            sleeper.stop()
            assert await _succeeds(stand, store, group, key) == [0, 1, 2, 3]
            sleeper.wake()
            held += await sleeper.run(asleep.fetch(100, 0.0))
            await sleeper.run(other.close())
        finally:
            sleeper.end()
    assert held
    assert not any(zombie.apply(batch) for batch in held)
    assert [int(value or b"") for name, value in store.effects if name == key] == [0, 1, 2, 3]

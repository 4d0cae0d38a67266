"""The log goes away, is closed in the middle of things, or is asked for what it can't do."""

import asyncio

import pytest

from services.shared.bus import Bus, BusUnavailable, MessageTooLarge
from services.shared.bus.base import MAX_BYTES
from services.shared.events import Message
from tests.components.waiting import PATIENCE
from tests.contract.bus.readers import Reader, Store, new_key, numbered, values
from tests.contract.bus.stands import (
    Outage,
    SqliteStand,
    Stand,
    bytes_on_disk,
    collect,
    has_joined,
    new_group,
)


async def test_closing_a_subscription_ends_its_waiting_fetch(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    waiting = asyncio.ensure_future(member.fetch(10, 600.0))
    await asyncio.sleep(0)
    await member.close()
    async with asyncio.timeout(PATIENCE):
        assert await waiting == []
    assert member.assigned() == frozenset()
    with pytest.raises(BusUnavailable):
        await member.fetch(10, 1.0)


async def test_closing_the_bus_ends_everything_in_bounded_time(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await has_joined(member)
    waiting = asyncio.ensure_future(member.fetch(10, 600.0))
    saying = [asyncio.ensure_future(bus.publish(numbered("leads", new_key(), 50))) for _ in "abc"]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await bus.close()
        outcomes = await asyncio.gather(waiting, *saying, return_exceptions=True)
    assert isinstance(outcomes[0], list)
    assert all(one is None or isinstance(one, BusUnavailable) for one in outcomes[1:])
    with pytest.raises(BusUnavailable):
        await bus.publish(numbered("leads", new_key(), 1))


async def test_a_log_that_went_away_says_so_and_goes_on_when_it_is_back(outage: Outage) -> None:
    bus, key = outage.bus, new_key()
    await bus.start(["leads"])
    store = Store()
    store.put(await bus.ends(["leads"]))
    reader = Reader(store)
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    await bus.publish(numbered("leads", key, 3))
    await collect(member, reader, lambda found: len(found) >= 3)

    await outage.begin()
    for _ in range(2):
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(PATIENCE):
                await bus.publish(numbered("leads", key, 3, 3))
    await outage.end()

    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await bus.publish(numbered("leads", key, 3, 3))
                break
            except BusUnavailable:
                await asyncio.sleep(0.05)
    records = await collect(member, reader, lambda found: 5 in values(found, key))
    first_heard = list(dict.fromkeys([0, 1, 2, *values(records, key)]))
    assert first_heard == [0, 1, 2, 3, 4, 5]
    assert len(records) <= 6, "what was tried again in vain arrived more than twice"
    store.close()


async def test_scrubbing_says_whether_the_words_are_gone(stand: Stand, bus: Bus) -> None:
    reader = Reader(await stand.store(bus))
    gone, kept = new_key(), new_key()
    secret, public = new_key().encode(), new_key().encode()
    headers = (("ce_type", "baitwell.lead.submitted.v1"),)
    await bus.publish(
        [
            Message("leads", gone, headers, b'{"to": "' + secret * 400 + b'"}'),
            Message("leads", kept, headers, public),
            Message("leads", gone, headers, secret),
        ]
    )
    scrubbed = await bus.scrub("leads", [gone])
    assert await bus.scrub("leads", [gone]) == scrubbed
    member = await bus.subscribe(new_group(), "a", ["leads"], reader.positions)
    records = await collect(member, reader, lambda found: len(found) >= 3)
    said = {key: [r for r in records if r.key == key] for key in (gone, kept)}
    assert said[kept][0].value == public
    if isinstance(stand, SqliteStand):
        assert scrubbed
        assert [r.value for r in said[gone]] == [b"{}", b"{}"]
        assert all(r.headers == (*headers, ("scrubbed", "1")) for r in said[gone])
        assert secret not in bytes_on_disk(stand.path)
        assert public in bytes_on_disk(stand.path)
    else:
        assert not scrubbed
        assert said[gone][1].value == secret


async def test_a_message_that_is_too_large_is_refused_with_its_whole_batch(bus: Bus) -> None:
    before = await bus.ends(["leads"])
    with pytest.raises(MessageTooLarge):
        await bus.publish([*numbered("leads", "k", 1), Message("leads", "k", (), b"x" * MAX_BYTES)])
    assert await bus.ends(["leads"]) == before
    await bus.publish([Message("leads", "k", (), b"x" * (MAX_BYTES - 1))])


async def test_a_topic_that_was_not_started_is_refused(bus: Bus) -> None:
    async def nowhere(_: object) -> dict[object, int]:
        return {}

    with pytest.raises(ValueError, match="outcomes"):
        await bus.publish(numbered("outcomes", "k", 1))
    with pytest.raises(ValueError, match="outcomes"):
        await bus.subscribe(new_group(), "a", ["outcomes"], nowhere)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outcomes"):
        await bus.ends(["outcomes"])


async def test_nothing_to_publish_is_nothing(bus: Bus) -> None:
    await bus.publish([])


async def test_more_topics_may_be_started_later(bus: Bus) -> None:
    await bus.start(["leads", "outcomes"])
    await bus.publish(numbered("outcomes", new_key(), 1))
    assert sum((await bus.ends(["outcomes"])).values()) >= 1

"""What profile does by itself."""

from datetime import timedelta

from aiokafka.partitioner import DefaultPartitioner

from services.profile.leads.models import WaitingNote
from services.profile.leads.upkeep import MARKER_KEYS, Upkeep
from services.shared.events import PARTITIONS
from services.shared.events.parts import CausePart
from services.shared.events.push import PushSent
from services.shared.outbox import OUTBOX
from tests.profile.bench import Bench


def upkeep(bench: Bench) -> Upkeep:
    return Upkeep(bench.database, bench.clock, bench.ground.ids, bench.intake)


def test_a_marker_key_stands_for_each_partition() -> None:
    partitions = list(range(PARTITIONS))
    place = DefaultPartitioner()
    found = [place(key.encode(), partitions, partitions) for key in MARKER_KEYS]
    assert found == partitions


async def test_marks_every_partition_once_a_day(both: Bench) -> None:
    async def marks() -> int:
        await both.database.transaction(upkeep(both).daily)
        await both.database.transaction(upkeep(both).daily)
        rows = await both.database.transaction(lambda s: s.execute(OUTBOX.select()).all())
        await both.said()
        assert {row.topic for row in rows} <= {"profiles"}
        return len(rows)

    assert await marks() == PARTITIONS
    assert await marks() == 0


async def test_marks_again_the_next_day(bench: Bench) -> None:
    assert await bench.database.transaction(upkeep(bench).daily)
    bench.clock.advance(timedelta(days=1).total_seconds())
    assert await bench.database.transaction(upkeep(bench).daily)


async def test_forgets_what_waited_for_nothing(bench: Bench) -> None:
    await bench.feed(
        PushSent(
            delivery_id=bench.ground.ids.new(),
            cause=CausePart(kind="api", id="1"),
            contact_key="0" * 40,
            channel="email",
        )
    )
    bench.clock.advance(timedelta(days=31).total_seconds())
    await bench.database.transaction(upkeep(bench).daily)
    assert await bench.count(WaitingNote) == 0

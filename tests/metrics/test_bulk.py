"""Rows written by the driver read back as the models say, on both databases."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from services.metrics.bulk import Bulk
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.models import Waiting
from services.metrics.waiting.repository import Waiter
from tests.metrics.bench import Bench

AT = datetime(2026, 3, 2, 4, 5, 6, 789012, tzinfo=UTC)
ROW = Waiter(
    UUID(int=7),
    "engagement.clicked",
    AT,
    AT,
    UUID(int=8),
    "k" * 40,
    None,
    True,
    False,
    "head",
    {"link": 2, "url": "https://shop.example/茶?a='x'", "none": None},
)


async def test_every_type_comes_back(both: Bench) -> None:
    await both.ground.database.transaction(lambda session: waiting.add(session, [ROW]))
    (read,) = await both.ground.database.transaction(
        lambda session: waiting.due(session, {ROW.kind}, AT, 10)
    )
    assert read == ROW


async def test_columns_may_be_named_in_any_order(both: Bench) -> None:
    names = list(reversed(Waiter._fields))
    backwards = Bulk(Waiting, names)
    values: dict[str, Any] = ROW._asdict()
    await both.ground.database.transaction(
        lambda session: backwards.write(session, [tuple(values[name] for name in names)])
    )
    (read,) = await both.ground.database.transaction(
        lambda session: waiting.due(session, {ROW.kind}, AT, 10)
    )
    assert read == ROW


async def test_adding_once_leaves_the_first(both: Bench) -> None:
    other = ROW._replace(reason="other")
    for row in (ROW, other):
        await both.ground.database.transaction(partial(waiting.add_once, waiters=[row]))
    (read,) = await both.ground.database.transaction(
        lambda session: waiting.due(session, {ROW.kind}, AT, 10)
    )
    assert read.reason == "head"


async def test_a_look_up_reads_every_type(both: Bench) -> None:
    others = [ROW._replace(id=UUID(int=n), delivery_id=UUID(int=n + 1)) for n in range(20, 23)]
    await both.ground.database.transaction(
        lambda session: waiting.add(session, [ROW, *others, ROW._replace(id=UUID(int=9))])
    )
    found = await both.ground.database.transaction(
        lambda session: waiting.of_deliveries(session, ROW.kind, [UUID(int=8), UUID(int=21)])
    )
    assert sorted(found) == [ROW, ROW._replace(id=UUID(int=9)), others[0]]


async def test_a_look_up_of_nothing_finds_nothing(both: Bench) -> None:
    found = await both.ground.database.read(
        lambda session: waiting.of_deliveries(session, ROW.kind, [])
    )
    assert found == []

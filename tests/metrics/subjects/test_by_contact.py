"""Deliveries are found by their contact, in whichever month they were sent, and never by reading all of them."""

from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import update

from services.metrics.subjects import repository
from services.metrics.subjects.models import Delivery
from services.metrics.subjects.repository import DeliveryRow, month_of
from services.metrics.tables import table
from tests.metrics.bench import Bench
from tests.metrics.funnel.test_plans import plan

MOMENTS = [datetime(2025, 11, 30, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]


def sent_to(key: str, at: datetime) -> DeliveryRow:
    return DeliveryRow(uuid4(), None, None, None, "email", key, None, at, month_of(at))


async def test_whenever_they_were_sent(both: Bench) -> None:
    database = both.ground.database
    rows = [sent_to(key, at) for key in ("a", "b") for at in [*MOMENTS, MOMENTS[0]]]
    await database.transaction(lambda s: repository.put_deliveries(s, rows))
    before = rows[2]  # written by a version that knew no months

    def work(session: object) -> None:
        deliveries = table(Delivery)
        session.execute(  # type: ignore[attr-defined]
            update(deliveries).where(deliveries.c.id == before.id).values(month=0)
        )

    await database.transaction(work)
    found = await database.read(lambda s: repository.deliveries_of(s, ["a"]))
    assert {row.id for row in found} == {row.id for row in rows[:3]}
    assert await database.read(lambda s: repository.knows_contact(s, "b"))
    assert not await database.read(lambda s: repository.knows_contact(s, "c"))
    theirs = await database.transaction(lambda s: repository.forget(s, uuid4(), ["a"]))
    assert set(theirs) == {row.id for row in rows[:3]}
    assert not await database.read(lambda s: repository.knows_contact(s, "a"))
    assert await database.read(lambda s: repository.knows_contact(s, "b"))


async def test_by_an_index(bench: Bench) -> None:
    steps = plan(bench, lambda session: repository.deliveries_of(session, ["a", "b"]))
    tables = [step for step in steps if "deliveries" in step]
    assert len(tables) == 3
    assert all("INDEX deliveries_by_contact" in step for step in tables), tables

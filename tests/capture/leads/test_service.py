"""Leads are durable when they are answered, also with several processes on one database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.capture import migrations
from services.capture.baits.live import BaitShelf
from services.capture.baits.seed import Seed
from services.capture.leads.gate import OutboxGate
from services.capture.leads.models import Lead
from services.capture.leads.service import KeyReused, LeadDesk
from services.capture.leads.submission import Once, Submission
from services.capture.models import metadata
from services.shared.clock import SystemClock
from services.shared.database.postgres import PostgresDatabase
from services.shared.database.sqlite import SqliteDatabase
from services.shared.ground import Ground
from services.shared.outbox import OUTBOX
from tests.capture.system import CaptureSystem
from tests.components.schemas import Schema
from tests.ground import close_ground, make_ground


async def count(ground: Ground[Any], table: Any) -> int:
    return await ground.database.read(lambda s: len(s.execute(table.select()).all()))


LEADS: Any = Lead.__table__  # type: ignore[attr-defined]  # SQLModel does not say it


class TestDurable:
    async def test_what_was_answered_is_in_the_file(
        self, capture: CaptureSystem, tmp_path: Path
    ) -> None:
        await capture.bait()
        answers = await asyncio.gather(
            *(capture.post(contact={"email": f"p{n}@shop.example"}) for n in range(100))
        )
        # another connection to the same file sees only what was committed
        path = next((tmp_path / "data").glob("capture.sqlite"))
        second = SqliteDatabase(path)
        try:
            ids = await second.read(lambda s: {str(i) for i in s.scalars(LEADS.select())})
        finally:
            await second.close()
        assert {answer.json()["lead_id"] for answer in answers} == ids

    async def test_one_that_fails_fails_alone(self, capture: CaptureSystem) -> None:
        await capture.bait()
        desk = capture.service.desk
        bait = await capture.service.shelf.find("guide")
        prepare = desk._prepare

        nothing: Any = None

        def broken(*given: Any) -> Any:
            prepared = prepare(*given)
            if "bad@" in prepared.row.document:
                return prepared._replace(row=prepared.row._replace(contact_key=nothing))
            return prepared

        desk._prepare = broken  # type: ignore[method-assign, assignment]  # a row that the database refuses
        answers = await asyncio.gather(
            *(
                desk.accept(bait, Submission(way="api", contacts={"email": f"{name}@shop.example"}))
                for name in ("a", "bad", "b")
            ),
            return_exceptions=True,
        )
        assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
        assert len(await capture.leads()) == 2


@pytest.fixture
async def processes(
    tmp_path: Path, postgres_url: str
) -> AsyncIterator[list[tuple[Ground[Any], LeadDesk, BaitShelf]]]:
    """Two processes of capture on one PostgreSQL."""
    await Schema("capture", migrations, metadata).upgrade_postgres(postgres_url)
    clock = SystemClock()
    made = []
    for number in range(2):
        database = PostgresDatabase(postgres_url, "capture", clock, pool=6)
        ground = make_ground(tmp_path / str(number), "capture", clock=clock, database=database)
        shelf = BaitShelf(database, clock, ground.contact_keys)
        made.append((ground, LeadDesk(ground, shelf, OutboxGate(database, clock, 10**6)), shelf))
    yield made
    for ground, _, _ in made:
        await close_ground(ground)


class TestSeveralProcesses:
    async def test_the_sample_is_made_once(self, processes: list[Any]) -> None:
        await asyncio.gather(*(Seed(ground).sow() for ground, _, _ in processes for _ in range(3)))
        found = [await shelf.find("welcome") for _, _, shelf in processes]
        assert found[0].id == found[1].id

    async def test_one_key_is_one_lead_over_all_of_them(self, processes: list[Any]) -> None:
        await Seed(processes[0][0]).sow()
        tasks = []
        for number in range(40):
            for _, desk, shelf in processes:
                bait = await shelf.find("welcome")
                submission = Submission(
                    way="api",
                    contacts={"email": f"p{number}@shop.example"},
                    once=Once(f"key {number}", "hash"),
                )
                tasks += [desk.accept(bait, submission) for _ in range(3)]
        answers = await asyncio.gather(*tasks)
        assert len({answer.text for answer in answers}) == 40
        ground, desk, shelf = processes[0]
        assert await count(ground, LEADS) == 40
        assert await count(ground, OUTBOX) == 80
        other = Submission(
            way="api", contacts={"email": "x@shop.example"}, once=Once("key 1", "other")
        )
        with pytest.raises(KeyReused):
            await processes[1][1].accept(await processes[1][2].find("welcome"), other)

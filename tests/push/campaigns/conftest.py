"""Desks on both databases, a profile service that answers from a list, and people that push knows."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from services.push.campaigns import repository
from services.push.campaigns.models import Campaign, CampaignRun
from services.push.campaigns.planner import Planner
from services.push.campaigns.schemas import CampaignIn
from services.push.campaigns.service import CampaignDesk
from services.push.deliveries import halts
from services.push.deliveries.models import Delivery
from services.push.reach.models import ReachContact, ReachProfile
from services.push.templates.models import Template, TemplateVersion
from services.shared.clock import ShiftedClock
from services.shared.database import Database
from services.shared.database.postgres import PostgresDatabase
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids, derived
from tests.ground import sqlite_database


class FakeProfile:
    """Answers `GET /internal/segments/{id}/members` as profile does, from a list that tests change.

    The cursor says where the walk is and how many it has given, so that the count on the last page is
    that of the walk; with `live_count` it is that of the segment as it is then.
    """

    def __init__(self) -> None:
        self.segment = derived("segment")
        self.members: set[UUID] = set()
        self.status = 200
        self.live_count = False
        self.calls = 0
        self.before_page: Callable[[int], None] = lambda _call: None

    def client(self) -> InternalClient:
        return InternalClient(
            "http://profile", "key", transport=lambda: httpx.MockTransport(self._answer)
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        self.before_page(self.calls)
        if self.status != 200:
            return httpx.Response(self.status)
        if request.url.path == f"/internal/segments/{self.segment}":
            return httpx.Response(200, json={"name": "Readers <of> ours"})
        if request.url.path != f"/internal/segments/{self.segment}/members":
            return httpx.Response(404)
        last, _, given = request.url.params.get("after", "|0").partition("|")
        limit = int(request.url.params["limit"])
        left = sorted(m for m in self.members if not last or m > UUID(last))
        page = left[:limit]
        seen = int(given) + len(page)
        body: dict[str, Any] = {"items": [str(m) for m in page], "next": None}
        if len(left) > limit:
            body["next"] = f"{page[-1]}|{seen}"
        else:
            body["count"] = len(self.members) if self.live_count else seen
        return httpx.Response(200, json=body)


@dataclass
class Stage:
    """Everything a campaign needs, and looks at what came of it."""

    database: Database
    clock: ShiftedClock
    desk: CampaignDesk
    profile: FakeProfile
    template_id: UUID
    numbers: dict[UUID, int] = field(default_factory=dict)

    def planner(self) -> Planner:
        """Another process's planner."""
        return Planner(self.desk, page=7)  # many pages out of a few people

    async def people(self, *numbers: int, contacts: tuple[str, ...] = ("email",)) -> list[UUID]:
        """Members of the segment that push knows, each with contacts on these channels."""
        ids = [derived("person", number) for number in numbers]

        def work(session: Session) -> None:
            for number, id_ in zip(numbers, ids, strict=True):
                session.add(
                    ReachProfile(id=id_, revision=1, language="zh-CN", zone=None, fields={})
                )
                for channel in contacts:
                    session.add(contact(id_, channel, f"{number}"))

        await self.database.transaction(work)
        self.profile.members |= set(ids)
        return ids

    async def campaign(self, **settings: Any) -> Campaign:
        """A draft."""
        wanted: dict[str, Any] = {
            "name": "Spring",
            "segment_id": self.profile.segment,
            "template_id": self.template_id,
        }
        return await self.desk.create(CampaignIn(**(wanted | settings)), "Li")

    async def started(self, **settings: Any) -> UUID:
        """A campaign that has just been started."""
        campaign = await self.campaign(**settings)
        await self.desk.act(campaign.id, "start", "Li")
        return campaign.id

    async def steps(self, count: int) -> None:
        """So many looks of a planner, a second apart when there was nothing to do."""
        planner = self.planner()
        for _ in range(count):
            if not await planner.step():
                self.clock.advance(timedelta(seconds=1))

    async def look(self, campaign_id: UUID) -> tuple[Campaign, CampaignRun | None]:
        return await self.desk.get(campaign_id)

    async def run(self, campaign_id: UUID) -> CampaignRun:
        found = (await self.look(campaign_id))[1]
        assert found is not None
        return found

    async def rows(self) -> list[Delivery]:
        return await self.database.read(
            lambda s: list(s.exec(select(Delivery).order_by(col(Delivery.profile_id))))
        )

    async def planned(self) -> list[UUID]:
        """The profiles that have a delivery, in order, repeats included."""
        return sorted(row.profile_id for row in await self.rows() if row.profile_id)

    async def halted(self) -> dict[UUID, str]:
        """What the ledger was told to stop."""
        found = await self.database.read(halts.halts)
        return {campaign_id: halted.state for campaign_id, halted in found.items()}

    async def finish_rows(self, state: str = "sent", reason: str | None = None) -> None:
        """The dispatcher's work, done."""
        await self.database.transaction(
            lambda s: s.execute(update(repository.LEDGER).values(state=state, reason=reason))
        )


def contact(profile_id: UUID, channel: str, name: str, **more: Any) -> ReachContact:
    """A contact that push knows of."""
    return ReachContact(
        contact_key=f"{channel}-{name}",
        profile_id=profile_id,
        channel=channel,
        account="",
        address=f"{name}@x.example",
        abuse_key=f"abuse-{name}",
        **{"marketing": True, **more},
    )


async def make_stage(database: Database) -> Stage:
    clock = ShiftedClock(timedelta(0))
    profile = FakeProfile()
    desk = CampaignDesk(database, clock, Ids(clock), {"profile": profile.client()})
    template_id, version_id = derived("template"), derived("version")
    now = clock.now()

    def work(session: Session) -> None:
        session.add(
            Template(
                id=template_id,
                name="spring",
                channel="email",
                kind="marketing",
                version=1,
                version_id=version_id,
                created_at=now,
                updated_at=now,
            )
        )
        session.add(
            TemplateVersion(
                id=version_id,
                template_id=template_id,
                number=1,
                document={},
                created_at=now,
                created_by="Li",
            )
        )

    await database.transaction(work)
    return Stage(database, clock, desk, profile, template_id)


async def _finished(stage: Stage) -> None:
    await stage.desk.neighbours["profile"].close()
    await stage.database.close()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on SQLite."""
    made = await make_stage(sqlite_database(tmp_path / "push.sqlite", "push"))
    yield made
    await _finished(made)


@pytest.fixture(params=["sqlite", "postgresql"])
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on SQLite, and one on PostgreSQL where it can be had."""
    if request.param == "sqlite":
        database: Database = sqlite_database(tmp_path / "push.sqlite", "push")
    else:
        url = request.getfixturevalue("migrated_postgres_url")
        database = PostgresDatabase(url, "push", ShiftedClock(timedelta(0)))
    made = await make_stage(database)
    yield made
    await _finished(made)

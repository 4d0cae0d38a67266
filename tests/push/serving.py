"""Push's templates, campaigns and pages as an app, on files of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
from sqlmodel import Session

from services.push.campaigns import endpoints as campaign_endpoints
from services.push.campaigns.planner import Planner
from services.push.campaigns.service import CampaignDesk
from services.push.pages import campaigns as campaign_pages
from services.push.reach.models import ReachContact, ReachProfile
from services.push.templates import endpoints as template_endpoints
from services.push.templates.content import ContentStore
from services.push.templates.service import TemplateDesk
from services.shared.app import Service, create_app
from services.shared.clock import VirtualClock
from services.shared.ground import Ground
from services.shared.ids import derived
from tests.ground import close_ground, make_ground
from tests.push.campaigns.conftest import FakeProfile

TEMPLATE: dict[str, Any] = {
    "name": "Spring",
    "variables": [{"name": "name", "field": "name", "default": "friend"}],
    "default_language": "en",
    "contents": {
        "en": {
            "subject": "Hello {{ name }}",
            "text": "Dear {{ name }}, see https://shop.example/spring",
            "html": '<p>Dear {{ name }}, <a href="https://shop.example/spring">see</a></p>',
        },
        "zh-CN": {"subject": "你好，{{ name }}", "text": "亲爱的{{ name }}：https://shop.example/"},
    },
}


@dataclass
class Served:
    """A running app with an admin's and a reader's key."""

    client: httpx.AsyncClient
    ground: Ground[Any]
    clock: VirtualClock
    profile: FakeProfile
    desk: CampaignDesk
    admin: dict[str, str]
    reader: dict[str, str]

    async def make_template(self, **changes: Any) -> dict[str, Any]:
        answer = await self.client.post(
            "/v1/templates", json=TEMPLATE | changes, headers=self.admin
        )
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def make_campaign(self, **changes: Any) -> dict[str, Any]:
        """A draft, with a template of its own unless one is named."""
        if "template_id" not in changes:
            name = f"Spring {self.ground.ids.new()}"
            changes["template_id"] = (await self.make_template(name=name))["id"]
        body = {"name": "Spring", "segment_id": str(self.profile.segment)} | changes
        answer = await self.client.post("/v1/campaigns", json=body, headers=self.admin)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def act(self, campaign_id: str, action: str) -> httpx.Response:
        return await self.client.post(f"/v1/campaigns/{campaign_id}/{action}", headers=self.admin)

    async def people(self, count: int) -> list[UUID]:
        """Members of the segment with an e-mail contact each."""
        ids = [derived("person", number) for number in range(count)]

        def work(session: Session) -> None:
            for number, id_ in enumerate(ids):
                session.add(
                    ReachProfile(id=id_, revision=1, language="en", fields={"name": f"P{number}"})
                )
                session.add(
                    ReachContact(
                        contact_key=f"key-{number}",
                        profile_id=id_,
                        channel="email",
                        account="",
                        address=f"p{number}@x.example",
                        abuse_key=f"abuse-{number}",
                        marketing=True,
                    )
                )

        await self.ground.database.transaction(work)
        self.profile.members |= set(ids)
        return ids

    async def plan(self, steps: int = 5) -> None:
        """The planner's work."""
        planner = Planner(self.desk)
        for _ in range(steps):
            if not await planner.step():
                self.clock.advance(1.0)


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """The app on a virtual clock, with a profile service that answers from a list."""
    clock, profile = VirtualClock(), FakeProfile()
    ground = make_ground(
        tmp_path,
        "push",
        clock=clock,
        neighbours={"profile": profile.client()},
        public_url="http://testserver",
    )
    store = ContentStore(clock.monotonic)
    desk = CampaignDesk(ground.database, clock, ground.ids, ground.neighbours)
    templates = TemplateDesk(
        ground.database, clock, ground.ids, store, ground.contact_keys, "http://testserver"
    )
    state = SimpleNamespace(campaigns=desk, templates=templates)
    service = Service(
        "push",
        state,
        routers=(
            template_endpoints.router,
            campaign_endpoints.router,
            campaign_pages.router(ground.settings.zone),
        ),
        limit=lambda _path: 2**21,
    )
    app = create_app(service, ground)
    admin = await ground.keys.create("Li Na", ["admin"])
    reader = await ground.keys.create("Wang", ["read"])
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield Served(
            client,
            ground,
            clock,
            profile,
            desk,
            {"authorization": f"Bearer {admin}"},
            {"authorization": f"Bearer {reader}"},
        )
    await ground.neighbours["profile"].close()
    await close_ground(ground)

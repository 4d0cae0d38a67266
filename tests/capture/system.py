"""Capture alone, whole: its app on SQLite files and the real log, and what a test looks at behind it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select
from sqlmodel import col

from services.capture.app import KIND, Capture
from services.capture.leads.models import Lead
from services.shared.clock import Clock, SystemClock
from services.shared.database import Database
from services.shared.ground import Ground
from services.shared.outbox import OUTBOX
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import EmbeddedParts, open_embedded
from services.shared.settings import Settings, load_settings

PUBLIC_URL = "http://testserver"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"


class MovedClock(SystemClock):
    """The machine's clock, some days ahead."""

    days = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.days)


@dataclass
class CaptureSystem:
    """A running capture. Its outbox is not relayed: a test reads there what capture says."""

    app: FastAPI
    client: httpx.AsyncClient
    ground: Ground[Any]
    admin_key: str

    @property
    def service(self) -> Capture:
        service: Capture = self.app.state.service
        return service

    @property
    def admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.admin_key}"}

    async def bait(self, slug: str = "guide", **document: Any) -> dict[str, Any]:
        """Make a bait; what is not said is simple."""
        body = {
            "slug": slug,
            "title": f"The {slug}",
            "language": "en",
            "resource": {"kind": "text", "text": f"All about {slug}"},
            **document,
        }
        response = await self.client.post("/v1/baits", json=body, headers=self.admin)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def change(self, slug: str, **document: Any) -> dict[str, Any]:
        """Change a bait by what is given."""
        now = (await self.client.get(f"/v1/baits/{slug}", headers=self.admin)).json()
        response = await self.client.put(
            f"/v1/baits/{slug}",
            json={**now["bait"], **document},
            headers={**self.admin, "if-match": f'"{now["version"]}"'},
        )
        assert response.status_code == 200, response.text
        changed: dict[str, Any] = response.json()
        return changed

    async def post(
        self, slug: str = "guide", *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Leave a contact by JSON; by default an e-mail address."""
        body.setdefault("contact", {"email": "li.na@shop.example"})
        return await self.client.post(f"/v1/baits/{slug}/leads", json=body, headers=headers)

    async def said(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The events in the outbox, in order: type, key and data."""

        def work(session: Any) -> list[dict[str, Any]]:
            rows = session.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()
            return [
                {
                    "type": dict(row.headers)["ce_type"],
                    "id": dict(row.headers)["ce_id"],
                    "key": row.key,
                    "topic": row.topic,
                    "data": json.loads(row.value),
                }
                for row in rows
            ]

        events = await self.ground.database.read(work)
        return [e for e in events if kind is None or e["type"] == f"baitwell.{kind}.v1"]

    async def leads(self) -> list[Lead]:
        """All leads, in the order in which they were accepted."""

        def work(session: Any) -> list[Lead]:
            return list(session.scalars(select(Lead).order_by(col(Lead.accepted_at), col(Lead.id))))

        return await self.ground.database.read(work)

    async def link(self, slug: str | None = None) -> str:
        """The path of the link in the newest bait mail (of a bait)."""
        wishes = [
            e["data"]["values"]
            for e in await self.said("push.requested")
            if e["data"]["template"] == "bait_mail"
            and (slug is None or e["data"]["values"]["bait_title"] == f"The {slug}")
        ]
        return str(wishes[-1]["link"]).removeprefix(PUBLIC_URL)


@asynccontextmanager
async def capture_system(
    tmp_path: Path,
    *,
    clock: Clock | None = None,
    relaying: bool = False,
    database: Database | None = None,
    **overrides: Any,
) -> AsyncIterator[CaptureSystem]:
    """Capture on `tmp_path`, in this loop."""
    overrides = {"public_url": PUBLIC_URL, "data": tmp_path / "data", **overrides}
    directory = DataDirectory(overrides["data"])
    directory.open()
    parts = EmbeddedParts(clock or SystemClock(), overrides)
    embedded = open_embedded((KIND,), load_settings(Settings, **overrides), directory, parts)
    app = embedded.apps["capture"]
    if not relaying:
        _hold(app.state.engine.relay)
    own = embedded.front._own
    async with own.router.lifespan_context(own):  # type: ignore[attr-defined]
        await app.state.service.seed.sow()
        key = await embedded.keys.create("test", ["admin"])
        transport = httpx.ASGITransport(app=embedded.front, client=("203.0.113.7", 40000))
        async with httpx.AsyncClient(
            transport=transport, base_url=PUBLIC_URL, headers={"user-agent": BROWSER}
        ) as client:
            yield CaptureSystem(app, client, embedded.grounds["capture"], key)


def _hold(relay: Any) -> None:
    """Let the relay wait: what capture says stays in its outbox."""

    async def nothing() -> int:
        relay._wake.clear()
        return 0

    relay.step = nothing

"""Profile on a ground, with what tests say to it and what it says."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import delete, func, select
from sqlmodel import Session

from services.profile.app import build
from services.profile.base import Table, table_of
from services.profile.leads.intake import Intake
from services.shared.app import create_app
from services.shared.clock import VirtualClock
from services.shared.contact import Channel, Contact, parse_contact
from services.shared.database import Database
from services.shared.events import Event, Received, Record, decode, encode
from services.shared.events.leads import LeadSubmitted, LeadVerified
from services.shared.events.parts import (
    ConsentPart,
    ContactPart,
    ProfileState,
    ProofPart,
    SourcePart,
)
from services.shared.events.profiles import ProfileChanged
from services.shared.ground import Ground
from services.shared.ids import derived
from services.shared.outbox import OUTBOX
from tests.ground import close_ground, make_ground

BAIT = UUID("0190a000-0000-7000-8000-000000000001")


@dataclass
class Bench:
    """Profile without its background work."""

    ground: Ground[Any]
    intake: Intake
    client: httpx.AsyncClient
    key: str
    clock: VirtualClock
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def admin(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}

    @property
    def database(self) -> Database:
        return self.ground.database

    def contact(self, address: str, channel: Channel = Channel.EMAIL) -> ContactPart:
        return self.part(parse_contact(channel, address))

    def part(self, contact: Contact) -> ContactPart:
        keys = self.ground.contact_keys
        return ContactPart(
            channel=contact.channel,
            account=contact.account,
            address=contact.address,
            identity=contact.identity,
            contact_key=keys.contact_key(contact),
            abuse_key=keys.abuse_key(contact),
        )

    def lead(self, *contacts: str | ContactPart, **changes: Any) -> LeadSubmitted:
        """A lead of these contacts; texts are e-mail addresses. `consent` adds marketing by e-mail."""
        parts = tuple(self.contact(c) if isinstance(c, str) else c for c in contacts)
        consents: tuple[ConsentPart, ...] = ()
        if changes.pop("consent", False):
            consents = (self.consent(),)
        return LeadSubmitted(
            **{
                "lead_id": self.ground.ids.new(),
                "bait_id": BAIT,
                "bait_slug": "welcome",
                "bait_version": 1,
                "language": "zh-CN",
                "contacts": parts,
                "fields": {},
                "field_types": {},
                "tags": (),
                "consents": consents,
                "source": SourcePart(utm_source="wechat"),
                "proof": ProofPart(form_version=1, language="zh-CN", ip_hash="ab" * 20, way="page"),
                **changes,
            }
        )

    def consent(self, channel: Channel = Channel.EMAIL, *, given: bool = True) -> ConsentPart:
        return ConsentPart(
            purpose="marketing",
            channel=channel,
            given=given,
            text_version="v1",
            at=self.clock.now(),
            source="form",
        )

    def verified(self, lead: LeadSubmitted) -> LeadVerified:
        return LeadVerified(
            lead_id=lead.lead_id, bait_id=lead.bait_id, contact_key=lead.contacts[0].contact_key
        )

    def received(
        self, event: Event, at: datetime | None = None, name: object = None
    ) -> Received[Any]:
        """An event as it comes from the log. The same `name` gives the same event id."""
        number = self.numbers["events"] = self.numbers.get("events", 0) + 1
        told = encode(
            event,
            event_id=derived("test", name if name is not None else number),
            key="key",
            occurred_at=at or self.clock.now(),
            source="test",
        )
        record = Record(told.topic, 0, number, told.key, told.headers, told.value)
        received = decode(record)
        assert received is not None
        return received

    async def feed(self, *events: Event | Received[Any]) -> None:
        """Hand events to the handlers as one batch."""
        batch = [e if isinstance(e, Received) else self.received(e) for e in events]
        await self.database.transaction(lambda s: self.intake.handle(s, batch))

    async def said(self, *, keep: bool = False) -> list[Event]:
        """What profile has said since the last time, in order."""

        def work(session: Session) -> Sequence[Any]:
            rows = session.execute(select(OUTBOX).order_by(OUTBOX.c.id)).all()
            if not keep:
                session.execute(delete(OUTBOX))
            return rows

        rows = await self.database.transaction(work)
        records = [
            Record(r.topic, 0, r.id, r.key, tuple((n, v) for n, v in r.headers), r.value)
            for r in rows
        ]
        return [received.event for r in records if (received := decode(r)) is not None]

    async def states(self) -> list[ProfileState]:
        """The profile states said since the last time, in order."""
        return [e.state for e in await self.said() if isinstance(e, ProfileChanged)]

    async def count(self, model: type[Table]) -> int:
        """The rows of a table."""
        statement = select(func.count()).select_from(table_of(model))
        return await self.database.read(lambda s: int(s.execute(statement).scalar_one()))

    async def rows(self, model: type[Table]) -> list[dict[str, Any]]:
        """The rows of a table as dictionaries."""
        return await self.database.read(
            lambda s: [dict(row) for row in s.execute(select(table_of(model))).mappings()]
        )


@asynccontextmanager
async def open_bench(tmp_path: Path, database: Database | None = None) -> AsyncIterator[Bench]:
    """A bench on SQLite, or on the database given."""
    clock = VirtualClock()
    ground = make_ground(tmp_path, "profile", clock=clock, database=database)
    app = create_app(build(ground), ground)
    key = await ground.keys.create("tests", ["admin"])
    transport = httpx.ASGITransport(app=app)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield Bench(ground, Intake(clock), client, key, clock)
    finally:
        await close_ground(ground)

"""A metrics service on a bench: its parts on a ground, events made by hand, clicks by a client."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlmodel import select

from services.metrics.app import Metrics, build
from services.metrics.funnel.models import Total
from services.metrics.funnel.service import rebuild_totals
from services.shared.app import create_app
from services.shared.clock import VirtualClock
from services.shared.contact import Channel, parse_contact
from services.shared.database import Database
from services.shared.events import Event, Received, Record, encode
from services.shared.events.decode import decode
from services.shared.events.leads import BaitDisplayed, LeadOpened, LeadSubmitted, LeadVerified
from services.shared.events.parts import CausePart, ContactPart, ProofPart, SourcePart
from services.shared.events.push import Outcome, PushSent
from services.shared.ground import Ground
from services.shared.http.internal import InternalClient
from services.shared.ids import derived
from services.shared.outbox import OUTBOX
from tests.ground import close_ground, make_ground

BROWSER = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
TARGET = "https://shop.example/offers?from=mail&x=1"


class BenchClock(VirtualClock):
    """Moves only when told to; the instants in which commits gather pass by themselves."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0 if seconds < 0.1 else seconds)


@dataclass
class Bench:
    """Metrics, without its background work: the test moves the clock and settles."""

    ground: Ground[Any]
    app: FastAPI
    client: httpx.AsyncClient

    push: list[Any]
    """What push was asked at once."""
    people: dict[str, Any]
    """What profile answers, by address or profile id; the exception that it fails with."""

    @property
    def metrics(self) -> Metrics:
        parts: Metrics = self.app.state.service
        return parts

    @property
    def clock(self) -> VirtualClock:
        assert isinstance(self.ground.clock, VirtualClock)
        return self.ground.clock

    async def key(self, *scopes: str) -> dict[str, str]:
        secret = await self.ground.keys.create("test", scopes)  # type: ignore[arg-type]
        return {"authorization": f"Bearer {secret}"}

    async def tell(self, *events: Event, at: datetime | None = None) -> None:
        """Hand events of others to the consumer's handlers, in one transaction."""
        received = [self.received(event, at) for event in events]
        handlers = self.metrics.projections.handlers()

        def work(session: Any) -> None:
            for handler, run in groupby(received, key=lambda item: handlers[type(item.event)]):
                handler(session, list(run))

        await self.ground.database.transaction(work)

    def received(self, event: Event, at: datetime | None = None) -> Received[Event]:
        event_id = derived("test", event.kind, event.model_dump_json(), at)
        message = encode(
            event, event_id=event_id, key="k", occurred_at=at or self.clock.now(), source="test"
        )
        record = Record(message.topic, 0, 0, message.key, message.headers, message.value)
        decoded = decode(record)
        assert decoded is not None
        return decoded

    async def settle(self, seconds: float = 2.0) -> None:
        """Let time pass, then settle all that is due."""
        self.clock.advance(seconds)
        settled = 1
        while settled:
            settled = await self.metrics.settler.step()

    async def click(
        self, delivery: UUID, link: int = 1, url: str = TARGET, **options: Any
    ) -> httpx.Response:
        return await self.ask("GET", self.click_path(delivery, link, url), **options)

    def click_path(self, delivery: UUID, link: int = 1, url: str = TARGET) -> str:
        token = self.ground.tokens.sign("c", delivery, link, url)
        return f"/c/{token}?u={quote(url, safe='')}"

    async def draw(self, delivery: UUID, **options: Any) -> httpx.Response:
        return await self.ask("GET", f"/o/{self.ground.tokens.sign('o', delivery)}", **options)

    async def ask(self, method: str, path: str, *, agent: str = BROWSER, **options: Any) -> Any:
        headers = {"user-agent": agent, **options.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **options)

    async def report(self, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        headers = (await self.key("report")) | (headers or {})
        return await self.client.post("/v1/engagements", json=body, headers=headers)

    async def funnel(self, **params: str) -> Any:
        answer = await self.client.get("/v1/funnel", params=params, headers=await self.key("read"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def said(self) -> list[Event]:
        """The events in the outbox, in order."""
        return [received.event for received in await self.received_of_outbox()]

    async def received_of_outbox(self) -> list[Received[Any]]:
        """What is in the outbox, in order, as others would receive it."""

        def work(session: Any) -> Sequence[Any]:
            return session.execute(OUTBOX.select().order_by(OUTBOX.c.id)).all()

        found = []
        for row in await self.ground.database.read(work):
            headers = tuple((name, value) for name, value in row.headers)
            decoded = decode(Record(row.topic, 0, 0, row.key, headers, row.value))
            assert decoded is not None
            found.append(decoded)
        return found

    async def totals(self) -> dict[tuple[str, ...], tuple[int, ...]]:
        """All cells that hold anything."""

        def work(session: Any) -> Any:
            rows = session.exec(select(Total))
            return {
                (t.day, t.stage, t.channel, t.bait, t.campaign, t.part): (
                    t.number,
                    t.subjects,
                    t.amount,
                )
                for t in rows
                if t.number or t.subjects or t.amount
            }

        found: dict[tuple[str, ...], tuple[int, ...]] = await self.ground.database.read(work)
        return found

    async def totals_can_be_rebuilt(self) -> None:
        """Whatever a test did: the raw events give the same totals again."""
        kept = await self.totals()
        await rebuild_totals(self.ground.database, self.metrics.counting)
        assert await self.totals() == kept

    def contact_key(self, email: str) -> str:
        return self.ground.contact_keys.contact_key(parse_contact(Channel.EMAIL, email))

    async def sent(
        self, campaign: UUID | None, *, email: str = "ann@customers.example", **more: Any
    ) -> UUID:
        """A delivery that was sent a minute ago."""
        number = more.pop("number", 0)
        delivery = more.pop("delivery", None) or derived("delivery", campaign, email, number)
        await self.tell(
            outcome(
                PushSent,
                delivery,
                campaign_id=campaign,
                contact_key=self.contact_key(email),
                **more,
            ),
            at=self.clock.now() - timedelta(minutes=1),
        )
        return delivery


def outcome(kind: type[Outcome], delivery: UUID, **more: Any) -> Outcome:
    """What became of a delivery."""
    values: dict[str, Any] = {
        "cause": CausePart(kind="campaign", id=str(more.get("campaign_id"))),
        "contact_key": "c" * 40,
        "channel": "email",
        **more,
    }
    return kind(delivery_id=delivery, **values)


def submitted(lead: UUID, bait: UUID, contact_key: str, slug: str = "guide") -> LeadSubmitted:
    """A lead by e-mail."""
    contact = ContactPart(
        channel=Channel.EMAIL,
        address="x@customers.example",
        identity="x@customers.example",
        contact_key=contact_key,
        abuse_key="a",
    )
    return LeadSubmitted(
        lead_id=lead,
        bait_id=bait,
        bait_slug=slug,
        bait_version=1,
        language="en",
        contacts=(contact,),
        fields={},
        field_types={},
        tags=(),
        consents=(),
        source=SourcePart(utm_source="news"),
        proof=ProofPart(form_version=1, language="en", way="page"),
    )


def verified(lead: UUID, bait: UUID, contact_key: str) -> LeadVerified:
    return LeadVerified(lead_id=lead, bait_id=bait, contact_key=contact_key)


def opened(lead: UUID, bait: UUID, contact_key: str) -> LeadOpened:
    return LeadOpened(lead_id=lead, bait_id=bait, contact_key=contact_key)


def drawn(bait: UUID, displays: int, machine: int = 0, slug: str = "guide") -> BaitDisplayed:
    return BaitDisplayed(bait_id=bait, bait_slug=slug, displays=displays, machine=machine)


class Neighbours:
    """Push and profile, as far as metrics asks them."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.people: dict[str, Any] = {}
        self.parked = 3

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            gauges = [{"name": "baitwell_parked_records", "labels": {}, "value": self.parked}]
            return httpx.Response(200, json=gauges if "gauges" in request.url.path else {})
        body = json.loads(request.content)
        if request.url.path == "/internal/unsubscribe":
            self.asked.append(body)
            return httpx.Response(200, json={})
        known = self.people.get(body.get("address") or body.get("profile_id"))
        return httpx.Response(200, json=known) if known else httpx.Response(404, json={})

    def clients(self) -> dict[str, InternalClient]:
        transport = httpx.MockTransport(self)
        return {
            name: InternalClient(f"http://{name}", "key", transport=lambda: transport)
            for name in ("push", "profile")
        }


@asynccontextmanager
async def open_bench(
    tmp_path: Path, *, database: Database | None = None, **overrides: Any
) -> AsyncIterator[Bench]:
    """A bench on SQLite, or on the database given."""
    neighbours = Neighbours()
    clients = neighbours.clients()
    ground = make_ground(
        tmp_path, "metrics", clock=BenchClock(), database=database, neighbours=clients, **overrides
    )
    app = create_app(build(ground), ground)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        bench = Bench(ground, app, client, neighbours.asked, neighbours.people)
        yield bench
        await bench.totals_can_be_rebuilt()
    for neighbour in clients.values():
        await neighbour.close()
    await close_ground(ground)

"""The channels under contract, each with a provider on loopback that does what an address asks for."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

from bench.sinks import http, smtp
from services.push.channels.base import (
    Channel,
    Connection,
    Content,
    Outgoing,
    Result,
    SenderIdentity,
    Slot,
)
from services.push.channels.base import OutcomeClass as Class
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.mailbox import LocalMailbox, MailboxUnavailable
from services.push.channels.email.settings import SmtpSettings, Timeouts
from services.push.channels.webhook import WebhookChannel, WebhookSettings
from services.shared.clock import ShiftedClock
from services.shared.http.ssrf import Guard, guarded_client
from tests.components.waiting import eventually

SENDER = SenderIdentity("Example News", "news@shop.example")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CANARY = "canary-value-7431"
CLOSE_SECONDS = 0.3

CONTENT = Content(
    subject=("News for ", Slot("var:name", "text")),
    text=("Dear ", Slot("var:name", "text"), ",\nleave: ", Slot("unsubscribe", "text"), "\n"),
    html=("<p>Dear ", Slot("var:name", "html"), '</p><a href="', Slot("unsubscribe", "html"), '">'),
    language="en",
    version="contract:en",
)


@dataclass
class Rig:
    """A channel, what its provider took, and what its provider does for which address.

    `classes` has the outcome that each kind of trouble must give; a kind that is not in it cannot
    happen to this channel.
    """

    name: str
    channel: Channel
    clock: ShiftedClock
    received: Callable[[], Sequence[UUID]]
    addresses: Mapping[str, str]
    classes: Mapping[str, Class]
    release: Callable[[], None]
    retry_after: timedelta | None = None
    results: list[Result] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    async def connect(self) -> Connection:
        connection = await self.channel.connect(self.results.append)
        self.connections.append(connection)
        return connection

    def message(
        self,
        address: str = "ann@reader.example",
        *,
        delivery_id: UUID | None = None,
        fresh: float = 60,
    ) -> Outgoing:
        link = "https://news.example/u/token"
        return Outgoing(
            delivery_id=delivery_id or uuid4(),
            address=address,
            content=CONTENT,
            values={"var:name": CANARY, "unsubscribe": link},
            sender=None,
            unsubscribe_url=link,
            fresh_until=self.clock.monotonic() + fresh,
        )

    async def reported(self, count: int) -> list[Result]:
        await eventually(lambda: len(self.results) >= count, f"{count} results")
        assert len(self.results) == count
        return self.results

    async def took(self, count: int) -> Sequence[UUID]:
        await eventually(lambda: len(self.received()) >= count, f"{count} messages at the provider")
        return self.received()


def _ids(sink: smtp.Sink) -> list[UUID]:
    found = [re.search(rb"Message-ID: <([^@>]+)@", taken.raw) for taken in sink.taken]
    return [UUID(match[1].decode()) for match in found if match]


@asynccontextmanager
async def email_rig(name: str, extensions: tuple[str, ...]) -> AsyncIterator[Rig]:
    options = smtp.Options(extensions=extensions, misbehave=True, keep=True)
    clock = ShiftedClock(timedelta(0))
    async with smtp.running(options) as (sink, port):
        settings = SmtpSettings.from_url(
            f"smtp://127.0.0.1:{port}", timeouts=Timeouts(close=CLOSE_SECONDS)
        )
        yield Rig(
            name=name,
            channel=SmtpChannel(settings, SENDER, clock, hello="client.example"),
            clock=clock,
            received=lambda: _ids(sink),
            addresses={
                "permanent": "hard-550-5.1.1@reader.example",
                "limited": "busy-450-4.2.1@reader.example",
                "later": "full-452-4.2.2@reader.example",
                "lost before": "drop-before-dot@reader.example",
                "lost after": "drop-after-dot@reader.example",
                "slow": "slow@reader.example",
            },
            classes={
                "permanent": Class.PERMANENT_RECIPIENT,
                "limited": Class.RATE_LIMITED,
                "later": Class.RETRY_LATER,
                "lost before": Class.RETRY_LATER,
                "lost after": Class.AMBIGUOUS,
                "cut while closing": Class.AMBIGUOUS,
            },
            release=sink.release.set,
        )


class GatedMailbox:
    """A mailbox whose store waits, or fails, for the addresses that ask for it."""

    def __init__(self) -> None:
        self.kept: list[UUID] = []
        self.release = asyncio.Event()

    async def add(self, raw: bytes, delivery_id: UUID, recipient: str, subject: str) -> None:
        assert subject.encode() in raw
        if recipient.startswith("away@"):
            raise MailboxUnavailable
        if delivery_id not in self.kept:
            self.kept.append(delivery_id)
        if recipient.startswith("slow@"):
            await self.release.wait()


@asynccontextmanager
async def mailbox_rig() -> AsyncIterator[Rig]:
    store = GatedMailbox()
    clock = ShiftedClock(timedelta(0))
    yield Rig(
        name="mailbox",
        channel=LocalMailbox(store, SENDER, clock, close_seconds=CLOSE_SECONDS),
        clock=clock,
        received=lambda: store.kept,
        addresses={"later": "away@reader.example", "slow": "slow@reader.example"},
        classes={"later": Class.RETRY_LATER, "cut while closing": Class.RETRY_LATER},
        release=store.release.set,
    )


@asynccontextmanager
async def webhook_rig() -> AsyncIterator[Rig]:
    clock = ShiftedClock(timedelta(0))
    options = http.Options(misbehave=True, keep=True)
    client = guarded_client(Guard(allowed=["127.0.0.1"]))
    async with http.running(options) as (sink, port), client:
        settings = WebhookSettings(f"http://127.0.0.1:{port}/hook", (SECRET,))
        yield Rig(
            name="webhook",
            channel=WebhookChannel(settings, client, clock, close_seconds=CLOSE_SECONDS),
            clock=clock,
            received=lambda: [UUID(request.headers["webhook-id"]) for request in sink.requests],
            addresses={
                "limited": "status-429-7@reader.example",
                "later": "status-500@reader.example",
                "lost before": "drop@reader.example",
                "lost after": "drop-after-body@reader.example",
                "slow": "slow@reader.example",
            },
            classes={
                "limited": Class.RATE_LIMITED,
                "later": Class.RETRY_LATER,
                "lost before": Class.RETRY_LATER,
                "lost after": Class.RETRY_LATER,
                "cut while closing": Class.RETRY_LATER,
            },
            release=sink.release.set,
            retry_after=timedelta(seconds=7),
        )


PIPELINED = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8")

RIGS = {
    "email pipelined": lambda: email_rig("email pipelined", PIPELINED),
    "email sequential": lambda: email_rig("email sequential", ("SIZE 10485760",)),
    "mailbox": mailbox_rig,
    "webhook": webhook_rig,
}

MAIL = ("email pipelined", "email sequential")
CAN_HAPPEN = {
    "permanent": MAIL,  # a webhook's answer says nothing about the person
    "limited": (*MAIL, "webhook"),
    "later": tuple(RIGS),
    "lost before": (*MAIL, "webhook"),  # a mailbox in the same process has no connection to lose
    "lost after": (*MAIL, "webhook"),
}

"""A ledger with people in it, and a channel that does what a test says."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from services.push.channels.base import (
    ChannelUnavailable,
    Content,
    OutcomeClass,
    Outgoing,
    Report,
    Result,
    Slot,
)
from services.push.deliveries import repository
from services.push.deliveries.dispatcher import Dispatcher
from services.push.deliveries.material import Filler, Material, MaterialKey, Piece, slots_of
from services.push.deliveries.planning import Wish, plan
from services.push.deliveries.repository import LEDGER, TRACE, Claimed
from services.push.deliveries.service import Ledger, Rules, Turn
from services.push.policy.repository import SLOTS
from services.push.policy.service import Policy
from services.push.policy.service import Rules as PolicyRules
from services.push.reach import repository as reach
from services.shared.clock import VirtualClock
from services.shared.database import Database
from services.shared.ids import Ids, derived
from services.shared.outbox import OUTBOX
from services.shared.tokens import KeyRing, Tokens

SHANGHAI = ZoneInfo("Asia/Shanghai")
TEMPLATE = derived("a template")
CAMPAIGN = derived("a campaign")

OK = OutcomeClass.OK


def profile(number: int) -> UUID:
    """The id of the person with that number."""
    return derived("person", number)


def contact_key(number: int) -> str:
    """The contact key of that person."""
    return f"key-{number}"


class FixedContents:
    """One content for every template; `missing` ones can't be had."""

    def __init__(self) -> None:
        content = Content(
            ("Hello ", Slot("var:name", "text")),
            ("Look: ", Slot("link:0", "text"), "\n", Slot("unsubscribe", "text"), "\n"),
            None,
            "en",
            "v1:en",
        )
        self._content = content
        self.missing: set[UUID | str] = set()

    def load(
        self, session: Session, keys: Collection[MaterialKey]
    ) -> Mapping[MaterialKey, Material]:
        return {key: self for key in keys if key.version not in self.missing}

    def for_person(self, given: Mapping[str, Any], fields: Mapping[str, Any]) -> Piece:
        name = str(given.get("name", fields.get("name", "you")))
        links = ("https://shop.example/new?a=1&b=2",)
        return Piece(self._content, slots_of(self._content), {"var:name": name}, links)


@dataclass
class FakeConnection:
    """Holds what is submitted until the test (or the channel's script) answers."""

    channel: "FakeChannel"
    report: Report
    held: deque[Outgoing] = field(default_factory=deque)
    open: bool = True

    def submit(self, message: Outgoing) -> None:
        if not self.open:
            self.report(Result(message.delivery_id, None, "connection-closed"))
            return
        self.held.append(message)
        if self.channel.script is not None:
            self.answer()

    def answer(self) -> None:
        """The provider answers the oldest message."""
        message = self.held.popleft()
        if self.channel.clock.monotonic() > message.fresh_until:
            self.report(Result(message.delivery_id, None, "stale"))
            return
        script = self.channel.script or (lambda _message: (OK, "250"))
        answered = script(message)
        result = (
            answered if isinstance(answered, Result) else Result(message.delivery_id, *answered)
        )
        if result.outcome in (OK, OutcomeClass.AMBIGUOUS):
            self.channel.sent.append(message)
        self.report(result)

    def die(self) -> None:
        """The process is gone: nobody hears what the provider says."""
        self.open = False
        self.held.clear()

    async def close(self) -> None:
        self.open = False
        while self.held:
            self.report(Result(self.held.popleft().delivery_id, None, "connection-closed"))


Script = Callable[[Outgoing], Any]


class FakeChannel:
    """A channel whose provider answers by `script`, or, without one, when the test says so."""

    def __init__(
        self, clock: VirtualClock, script: Script | None = None, name: str = "email"
    ) -> None:
        self.clock = clock
        self.script = script
        self.name = name
        self.lanes = 2
        self.window = 4
        self.sent: list[Outgoing] = []
        self.connections: list[FakeConnection] = []
        self.refusal: ChannelUnavailable | None = None

    async def connect(self, report: Report) -> FakeConnection:
        if self.refusal is not None:
            raise self.refusal
        connection = FakeConnection(self, report)
        self.connections.append(connection)
        return connection

    async def close(self) -> None:
        """Nothing is shared."""

    @property
    def waiting(self) -> list[Outgoing]:
        """What was submitted and not answered."""
        return [message for connection in self.connections for message in connection.held]

    def answer_all(self) -> None:
        """The provider answers everything that it has."""
        for connection in self.connections:
            while connection.held:
                connection.answer()


class LedgerRig:
    """A ledger on a database, with people who may be written to."""

    def __init__(
        self,
        database: Database,
        clock: VirtualClock,
        *,
        lease: timedelta = timedelta(seconds=30),
        **policy: Any,
    ) -> None:
        self.database = database
        self.clock = clock
        self.ids = Ids(clock)
        self.contents = FixedContents()
        self.paused: list[tuple[UUID, str]] = []
        rules = PolicyRules(
            **{"zone": SHANGHAI, "quiet_start": time(0), "quiet_end": time(0), **policy}
        )
        self.policy = Policy(rules)
        self.chance = random.Random(1)
        self._lease = lease

    def ledger(self, lease: timedelta | None = None) -> Ledger:
        """What one dispatcher works with."""
        rules = Rules(
            policy=self.policy,
            contents=self.contents,
            pause_campaign=lambda _session, id_, reason, _now: self.paused.append((id_, reason)),
            campaign_names=lambda _session, ids: dict.fromkeys(ids, "spring"),
            chance=self.chance.random,
            lease=lease or self._lease,
        )
        return Ledger(rules, self.clock, self.ids)

    def dispatcher(self, channel: FakeChannel, **options: Any) -> Dispatcher:
        """A dispatcher on this ledger."""
        tokens = Tokens(KeyRing.parse("1:a secret that only tests know"))
        filler = Filler("https://push.example", tokens)
        return Dispatcher(channel, self.ledger(), self.database, filler, self.clock, **options)

    async def people(self, numbers: Sequence[int], **changes: Any) -> None:
        """People who are verified and agreed; `changes` to their contact or (zone) themselves."""
        zone = changes.pop("zone", None)
        states = [
            reach.Person(profile(n), changes.pop("revision", 1), "en", zone, f'{{"name": "P{n}"}}')
            for n in numbers
        ]
        given = {"verified_at": self.clock.now(), "provenance": None, "marketing": True, **changes}
        contacts = [
            reach.Contact(
                contact_key=contact_key(n),
                profile_id=profile(n),
                channel="email",
                account="",
                address=f"p{n}@shop.example",
                abuse_key=f"abuse-{n}",
                **given,
            )
            for n in numbers
        ]
        await self.database.transaction(lambda s: reach.accept(s, states, contacts))

    def wish(self, number: int, cause: str = "run-1", **changes: Any) -> Wish:
        """A campaign's message to a person."""
        parts: dict[str, Any] = {
            "cause_kind": "campaign",
            "cause_id": cause,
            "contact_key": contact_key(number),
            "channel": "email",
            "language": "en",
            "marketing": True,
            "template_version_id": TEMPLATE,
            "profile_id": profile(number),
            "campaign_id": CAMPAIGN,
        }
        return Wish(**parts | changes)

    def request(self, number: int, cause: str = "lead-1", **changes: Any) -> Wish:
        """A bait mail to an address that no profile is known for."""
        parts: dict[str, Any] = {
            "cause_kind": "lead",
            "cause_id": cause,
            "contact_key": contact_key(number),
            "channel": "email",
            "language": "en",
            "marketing": False,
            "built_in": "bait_mail",
            "address": f"p{number}@shop.example",
            "abuse_key": f"abuse-{number}",
            "capped": False,
            "bait_id": derived("bait", 1),
        }
        return Wish(**parts | changes)

    async def plan(self, *wishes: Wish) -> dict[str, UUID]:
        """Plan messages; the ids of the new ones by contact key."""
        now = self.clock.now()
        return await self.database.transaction(lambda s: plan(s, wishes, self.ids, now))

    async def claim(self, ledger: Ledger, most: int = 100, **options: Any) -> list[Claimed]:
        """What one claim takes."""
        wanted = {"marketing": True, **options}
        claim = await self.database.transaction(
            lambda s: ledger.claim(s, "email", most, (), **wanted)
        )
        return claim.rows

    async def turn(self, ledger: Ledger, answers: Any = (), candidates: Any = ()) -> Turn:
        """One transaction of a writer."""
        return await self.database.transaction(lambda s: ledger.turn(s, answers, candidates))

    async def states(self) -> dict[str, tuple[str, str | None]]:
        """(state, reason) by contact key."""
        rows = await self.database.read(
            lambda s: s.execute(select(LEDGER.c.contact_key, LEDGER.c.state, LEDGER.c.reason)).all()
        )
        return {row.contact_key: (row.state, row.reason) for row in rows}

    async def row(self, delivery_id: UUID) -> Any:
        """A row of the ledger."""
        return await self.database.read(lambda s: repository.find(s, delivery_id))

    async def said(self) -> list[str]:
        """The kinds of the events in the outbox, in order."""
        rows = await self.database.read(
            lambda s: s.execute(select(OUTBOX.c.headers).order_by(OUTBOX.c.id)).scalars().all()
        )
        return [dict(headers)["ce_type"].split(".", 1)[1].removesuffix(".v1") for headers in rows]

    async def slots(self) -> int:
        """How many places under the cap are taken."""
        rows = await self.database.read(lambda s: s.execute(select(SLOTS.c.profile_id)).all())
        return len(rows)

    async def lines(self) -> list[tuple[str, str | None]]:
        """(state, reason) of the trace."""
        rows = await self.database.read(
            lambda s: s.execute(select(TRACE.c.state, TRACE.c.reason).order_by(TRACE.c.id)).all()
        )
        return [tuple(row) for row in rows]


async def settle(dispatcher: Dispatcher, steps: int = 12) -> None:
    """Let a dispatcher take some steps; what connections do happens in between."""
    for _ in range(steps):
        await dispatcher.step()
        for _ in range(3):
            await asyncio.sleep(0)

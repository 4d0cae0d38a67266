"""The ledger as an actor: a lead is planned as a message, dispatchers send it, a provider outside hears it.

The provider outlives crashes: what was on the wire may reach the person although nobody hears of it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from services.push.channels.base import OutcomeClass, Outgoing, Report, Result
from services.push.deliveries.dispatcher import Dispatcher
from services.push.deliveries.material import Filler
from services.push.deliveries.planning import plan
from services.push.deliveries.repository import LEDGER
from services.push.models import metadata
from services.shared.clock import Clock
from services.shared.events import Received
from services.shared.events.leads import LeadVerified
from services.shared.ids import Ids
from services.shared.runner.consumer import ConsumerRunner, ConsumerSpec
from services.shared.runner.supervisor import Loop
from services.shared.tokens import KeyRing, Tokens
from tests.push.deliveries.rig import LedgerRig
from tests.simulation.actors import Actors, Item, Life, relays
from tests.simulation.chaos import Chaos

LEASE = timedelta(seconds=3)
OPEN = ("planned", "claimed", "sending", "held")


class Provider:
    """A channel and the provider behind it; `sink` counts what reached each address."""

    name = "email"
    lanes = 2
    window = 4

    def __init__(self, clock: Clock, chaos: Chaos) -> None:
        self.clock = clock
        self.chaos = chaos
        self.sink: Counter[str] = Counter()

    async def connect(self, report: Report) -> "Connection":
        await self.chaos.delay()
        return Connection(self, report)

    async def close(self) -> None:
        """Nothing is shared between connections."""

    async def deliver(self, message: Outgoing) -> tuple[OutcomeClass | None, str]:
        """Take a message off the wire, or find it too old."""
        await self.chaos.delay()
        if self.clock.monotonic() > message.fresh_until:
            return None, "stale"
        if self.chaos.strikes():
            return OutcomeClass.RETRY_LATER, "451"
        self.sink[message.address] += 1
        await self.chaos.delay()
        return OutcomeClass.OK, "250"


class Connection:
    """One message after the other, as a connection without pipelining."""

    def __init__(self, provider: Provider, report: Report) -> None:
        self.open = True
        self._provider = provider
        self._report = report
        self._waiting: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._work())

    def submit(self, message: Outgoing) -> None:
        if self.open:
            self._waiting.put_nowait(message)
        else:
            self._report(Result(message.delivery_id, None, "connection-closed"))

    async def _work(self) -> None:
        while True:
            message = await self._waiting.get()
            outcome, code = await self._provider.deliver(message)
            self._report(Result(message.delivery_id, outcome, code))
            self._waiting.task_done()

    async def close(self) -> None:
        self.open = False
        await self._waiting.join()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Mailer:
    """Push in small: what it is told becomes a delivery, unique by cause and contact."""

    name = "push"
    topics: tuple[str, ...] = ("leads",)
    metadata = metadata

    def __init__(self, items: Sequence[Item], clock: Clock, chaos: Chaos) -> None:
        self._items = items
        self._chaos = chaos
        self._provider = Provider(clock, chaos)
        self.lives = 0

    def start(self, life: Life) -> Sequence[Loop]:
        self.lives += 1
        self._life = life
        rig = LedgerRig(life.database, life.clock, lease=LEASE)
        rig.ids = Ids(life.clock, life.rng.randbytes)
        self._rig = rig
        filler = Filler("https://push.example", Tokens(KeyRing.parse("1:only a simulation's")))
        dispatchers = [
            Dispatcher(self._provider, rig.ledger(), life.database, filler, life.clock, batch=batch)
            for batch in ((3,) if life.rng.random() < 0.5 else (2, 4))
        ]
        for dispatcher in dispatchers:
            life.database.on_commit(dispatcher.wake)
        spec = ConsumerSpec(self.name, self.topics, {LeadVerified: self._plan})
        consumer = ConsumerRunner(
            spec,
            life.database,
            life.bus,
            life.clock,
            member="push-1",
            telemetry=life.telemetry,
        )
        loops = [consumer.run, *relays(life, ("push-1",))]
        return [*loops, *(dispatcher.run for dispatcher in dispatchers)]

    def _plan(self, session: Session, events: Sequence[Received[Any]]) -> None:
        wishes = [
            self._rig.request(
                0,
                cause=str(received.event.lead_id),
                contact_key=str(received.event.lead_id),
                address=address_of(Item(received.key, received.event.bait_id.int)),
                abuse_key=str(received.event.lead_id),
            )
            for received in events
        ]
        plan(session, wishes, self._rig.ids, self._life.clock.now())

    def waiting(self) -> str | None:
        return None

    async def open_work(self) -> str | None:
        """What is not final in the ledger."""
        rows = await self._life.database.inner.read(partial(_states, states=OPEN))
        return f"{len(rows)} deliveries are open" if rows else None

    async def mend(self) -> None:
        """Nothing is parked here."""

    def faults(self, session: Session, actors: Actors) -> Iterable[str]:
        rows = _states(session)
        for item in self._items:
            states = [state for address, state in rows if address == str(item.id)]
            got = self._provider.sink[address_of(item)]
            if len(states) != 1:
                yield f"push: {item} has {len(states)} deliveries"
            elif states[0] not in ("sent", "unknown"):
                yield f"push: {item} ended {states[0]}"
            elif got > 1 or (states[0] == "sent" and got != 1):
                yield f"push: {item} is {states[0]} and reached the person {got} times"
        unknown = sum(state == "unknown" for _, state in rows)
        bound = Provider.lanes * Provider.window * 2 * (self.lives - 1)
        if unknown > bound and self._chaos.crashes:
            yield f"push: {unknown} unknown, at most {bound} were on the wire"


def address_of(item: Item) -> str:
    return f"{item.key}{item.number}@shop.example"


def _states(session: Session, states: Sequence[str] = ()) -> list[tuple[str, str]]:
    statement = select(LEDGER.c.contact_key, LEDGER.c.state)
    if states:
        statement = statement.where(LEDGER.c.state.in_(states))
    return [(key, state) for key, state in session.execute(statement)]

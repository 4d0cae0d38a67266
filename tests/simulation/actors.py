"""Services in small: one takes leads, one knows people, one counts. The seam for more is `Actor`."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.shared import outbox
from services.shared.bus import Bus
from services.shared.clock import EPOCH, Clock, VirtualClock
from services.shared.database import ground_tables
from services.shared.errors import DatabaseUnavailable, Unavailable
from services.shared.events import Message, Received, encode
from services.shared.events.leads import LeadVerified
from services.shared.events.profiles import ProfileLeadAccepted
from services.shared.group_commit import GroupCommit
from services.shared.ids import derived
from services.shared.runner.consumer import ConsumerRunner, ConsumerSpec
from services.shared.runner.supervisor import Loop
from services.shared.telemetry import Telemetry
from tests.simulation.ports import ChaoticDatabase


class Item(NamedTuple):
    """What a client asks for: the `number`-th of its key."""

    key: str
    number: int

    @property
    def id(self) -> UUID:
        return derived("item", self.key, self.number)


@dataclass(frozen=True)
class Life:
    """One process from its start to its crash, as an actor sees it."""

    clock: VirtualClock
    bus: Bus
    database: ChaoticDatabase
    relay: type[outbox.Relay]
    rng: random.Random
    telemetry: Telemetry


class Actor(Protocol):
    """A service of the simulation. It outlives crashes as the world outside does; its tasks do not."""

    name: str
    metadata: MetaData
    topics: tuple[str, ...]
    """What it reads (its lag is waited for)."""

    def start(self, life: Life) -> Sequence[Loop]:
        """The background loops of this life."""
        ...

    def waiting(self) -> str | None:
        """What the actor still waits for, beside outbox and lag, which the world looks after."""
        ...

    async def open_work(self) -> str | None:
        """The same, where its own tables have to be asked."""
        ...

    async def mend(self) -> None:
        """The bug is fixed: replay what is parked."""
        ...

    def faults(self, session: Session, actors: "Actors") -> Iterable[str]:
        """What is wrong in the end."""
        ...


@dataclass
class Actors:
    """All of them, by name."""

    items: tuple[Item, ...]
    by_name: dict[str, Actor] = field(default_factory=dict)


def relays(life: Life, holders: Sequence[str]) -> list[Loop]:
    """Relays that compete for the lease."""
    return [
        life.relay(life.database, life.bus, life.clock, holder=holder, batch=7).run
        for holder in holders
    ]


class Intake:
    """Takes what clients bring, in group commits, and says so. Clients come again until they are answered."""

    name = "intake"
    topics: tuple[str, ...] = ()
    metadata = MetaData()
    accepted = Table(
        "accepted", metadata, Column("id", String, primary_key=True), Column("key", String)
    )
    ground_tables(metadata)

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self.answered: set[Item] = set()
        self._clock: Clock | None = None

    def start(self, life: Life) -> Sequence[Loop]:
        self._clock = life.clock
        commit = GroupCommit[Item, bool](life.database, life.clock, self._write, limit=4)
        clients = []
        for key in sorted({item.key for item in self._items}):
            queue = [item for item in self._items if item.key == key]
            clients.append(self._client(queue, commit, life.rng.random() * 0.1))
        holders = ("intake-1", "intake-2") if life.rng.random() < 0.3 else ("intake-1",)
        return [*clients, *relays(life, holders)]

    def _client(self, queue: Sequence[Item], commit: GroupCommit[Item, bool], pause: float) -> Loop:
        async def run(stop: asyncio.Event) -> None:
            assert self._clock is not None
            for item in queue:
                while item not in self.answered and not stop.is_set():
                    try:
                        await commit.submit(item)
                    except (DatabaseUnavailable, Unavailable):
                        await self._clock.wait(stop, 1.0)
                    else:
                        self.answered.add(item)
                        await self._clock.wait(stop, pause)

        return run

    def _write(self, session: Session, items: Sequence[Item]) -> list[bool]:
        answers = []
        said: list[Message] = []
        for item in items:
            new: int = session.execute(  # type: ignore[attr-defined]  # a CursorResult
                insert_sqlite(self.accepted)
                .values(id=str(item.id), key=item.key)
                .on_conflict_do_nothing()
            ).rowcount
            if new:
                said.append(_verified(item))
            answers.append(bool(new))
        outbox.put(session, said, EPOCH)
        return answers

    def waiting(self) -> str | None:
        left = len(self._items) - len(self.answered)
        return f"{left} items without an answer" if left else None

    async def open_work(self) -> str | None:
        """Nothing but what `waiting` says."""
        return None

    async def mend(self) -> None:
        """Nothing is parked here."""

    def faults(self, session: Session, actors: Actors) -> Iterable[str]:
        kept = set(session.execute(select(self.accepted.c.id)).scalars())
        for item in sorted(self.answered):
            if str(item.id) not in kept:
                yield f"intake: {item} was answered and is gone"


def _verified(item: Item) -> Message:
    event = LeadVerified(lead_id=item.id, bait_id=UUID(int=item.number), contact_key=item.key)
    return encode(
        event,
        event_id=derived("verified", item.id),
        key=item.key,
        occurred_at=EPOCH,
        source="capture",
    )


class Consumer:
    """Acts on each item once and in order per key; some records it can't handle before it is mended."""

    def __init__(
        self, name: str, topics: tuple[str, ...], *, says: bool, poison: set[Item]
    ) -> None:
        self.name = name
        self.topics = topics
        self.poison = poison
        self.flaky: dict[UUID, int] = {}
        self._says = says
        self._runner: ConsumerRunner | None = None
        self.metadata = MetaData()
        self.handled = Table(
            "handled",
            self.metadata,
            Column("seq", Integer, primary_key=True),
            Column("topic", String),
            Column("position", Integer),
        )
        self.effects = Table(
            "effects",
            self.metadata,
            Column("seq", Integer, primary_key=True),
            Column("event", String, unique=True),
            Column("topic", String),
            Column("key", String),
            Column("number", Integer),
        )
        ground_tables(self.metadata)

    def start(self, life: Life) -> Sequence[Loop]:
        spec = ConsumerSpec(
            self.name, self.topics, {LeadVerified: self._act, ProfileLeadAccepted: self._act}
        )

        def member(name: str) -> ConsumerRunner:
            return ConsumerRunner(
                spec,
                life.database,
                life.bus,
                life.clock,
                member=f"{self.name}-{name}",
                telemetry=life.telemetry,
            )

        first = self._runner = member("m")

        async def comes_and_goes(stop: asyncio.Event) -> None:
            """A second process under another name: partitions move while records are being handled."""
            for _ in range(life.rng.randrange(3)):
                if await life.clock.wait(stop, life.rng.uniform(0.0, 0.6)):
                    return
                leave = asyncio.Event()
                other = asyncio.ensure_future(member(life.rng.choice("az")).run(leave))
                await life.clock.wait(stop, life.rng.uniform(0.0, 0.6))
                leave.set()
                await other

        loops: list[Loop] = [first.run, comes_and_goes]
        if self._says:
            loops += relays(life, (f"{self.name}-1",))
        return loops

    def _act(self, session: Session, events: Sequence[Received[Any]]) -> None:
        for received in events:
            record, event = received.record, received.event
            item = Item(received.key, event.bait_id.int)
            if item in self.poison:
                raise ValueError("a bug in this service")
            if self.flaky.get(event.lead_id, 0) > 0:
                self.flaky[event.lead_id] -= 1
                raise LookupError("something passing")
            session.execute(insert(self.handled).values(topic=record.topic, position=record.offset))
            new: int = session.execute(  # type: ignore[attr-defined]  # a CursorResult
                insert_sqlite(self.effects)
                .values(
                    event=str(received.id), topic=record.topic, key=item.key, number=item.number
                )
                .on_conflict_do_nothing()
            ).rowcount
            if new and self._says and isinstance(event, LeadVerified):
                outbox.put(session, [_accepted(received, item)], EPOCH)

    def waiting(self) -> str | None:
        if self._runner is not None and self._runner.stopped:
            return f"the consumer stopped: {self._runner.stopped}"
        return None

    async def open_work(self) -> str | None:
        """Nothing but what `waiting` says."""
        return None

    async def mend(self) -> None:
        self.poison.clear()
        self.flaky.clear()
        if self._runner is not None:
            await self._runner.replay()

    def faults(self, session: Session, actors: Actors) -> Iterable[str]:
        handled = session.execute(select(self.handled.c.topic, self.handled.c.position)).all()
        seen: set[tuple[str, int]] = set()
        for row in map(tuple, handled):
            if row in seen:
                yield f"{self.name}: record {row[1]} of {row[0]} was handled twice"
            seen.add(row)
        rows = session.execute(select(self.effects).order_by(self.effects.c.seq)).all()
        for topic in self.topics:
            for key in sorted({item.key for item in actors.items}):
                wanted = [item.number for item in actors.items if item.key == key]
                found = [row.number for row in rows if row.key == key and row.topic == topic]
                if found != wanted:
                    yield f"{self.name}: {topic} of {key} was {found}, should be {wanted}"


def _accepted(received: Received[LeadVerified], item: Item) -> Message:
    event = ProfileLeadAccepted(
        profile_id=derived("profile", item.key),
        lead_id=received.event.lead_id,
        bait_id=received.event.bait_id,
        contact_keys=(item.key,),
        new=item.number == 0,
    )
    return encode(
        event,
        event_id=derived("accepted", received.id),
        key=item.key,
        occurred_at=EPOCH,
        source="profile",
    )

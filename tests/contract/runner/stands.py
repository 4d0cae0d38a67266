"""Both pairs of a database and a log, with what a test of relay and runner needs of them."""

import asyncio
import contextlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlmodel import Session

from services.shared import outbox
from services.shared.bus import Bus, BusUnavailable
from services.shared.bus.kafka import KafkaBus, KafkaTimes
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import EPOCH, SystemClock
from services.shared.database import Database
from services.shared.database.base import Work
from services.shared.database.postgres import PostgresDatabase
from services.shared.database.sqlite import SqliteDatabase
from services.shared.database.types import ground_tables
from services.shared.errors import DatabaseUnavailable
from services.shared.events import Message, Received, encode
from services.shared.events.leads import LeadVerified
from services.shared.ids import derived
from services.shared.outbox import OUTBOX
from services.shared.runner import parked
from services.shared.runner.consumer import ConsumerRunner, ConsumerSpec
from services.shared.telemetry import Telemetry
from tests.components.waiting import PATIENCE, eventually

metadata = MetaData()
EFFECTS = Table(
    "effects",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("key", String(128), nullable=False),
    Column("number", Integer, nullable=False),
)
ground_tables(metadata)

TOPICS = ("leads", "profiles")
FAST = KafkaTimes(session=1.5, heartbeat=0.2, answer=5.0, publish=2.0, close=2.0)


def lead(key: str, number: int) -> Message:
    """The `number`-th event of a key."""
    event = LeadVerified(lead_id=derived(key, number), bait_id=UUID(int=number), contact_key=key)
    return encode(
        event,
        event_id=derived("event", key, number),
        key=key,
        occurred_at=EPOCH,
        source="capture",
    )


def new_key() -> str:
    """A key that no other test uses: topics are shared."""
    return uuid.uuid4().hex


class FragileDatabase:
    """A database that a test can take away between works. `works` counts what was asked of it."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self.away = False
        self.works = 0

    @property
    def dialect(self) -> Any:
        return self._inner.dialect

    def _ask(self) -> None:
        self.works += 1
        if self.away:
            raise DatabaseUnavailable

    async def transaction(self, work: Work[Any]) -> Any:
        self._ask()
        return await self._inner.transaction(work)

    async def read(self, work: Work[Any]) -> Any:
        self._ask()
        return await self._inner.read(work)

    async def scan(self, work: Work[Any], *, seconds: float = 10.0) -> Any:
        self._ask()
        return await self._inner.scan(work, seconds=seconds)

    def on_commit(self, listener: Callable[[], None]) -> None:
        self._inner.on_commit(listener)

    async def close(self) -> None:
        await self._inner.close()


class FragileBus:
    """A log that a test can take away, or that fails after it has appended."""

    def __init__(self, inner: Bus) -> None:
        self.inner = inner
        self.away = False
        self.forgets = 0
        """How many times more a publication is appended and then reported as failed."""
        self.published: list[Message] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.away:
            raise BusUnavailable("taken away by the test")
        await self.inner.publish(messages)
        self.published += messages
        if self.forgets:
            self.forgets -= 1
            raise BusUnavailable("nobody heard the answer")


class Handling:
    """A service's handler: notes what it was given, and can't handle what a test says."""

    def __init__(self) -> None:
        self.poison: set[tuple[str, int]] = set()
        self.tries: list[tuple[str, int]] = []
        self.keys: set[str] = set()

    def act(self, session: Session, events: Sequence[Received[Any]]) -> None:
        for received in events:
            number = getattr(received.event, "bait_id", UUID(int=0)).int
            self.tries.append((received.key, number))
            if (received.key, number) in self.poison:
                raise ValueError("personal data that must not be kept")
            session.execute(EFFECTS.insert().values(key=received.key, number=number))


class Stand(ABC):
    """A pair of a database and a log."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.consumer = f"test-{uuid.uuid4().hex[:8]}"
        self.telemetry = Telemetry(CollectorRegistry())
        self.handling = Handling()
        self.database: FragileDatabase
        self.bus: FragileBus
        self._closers: list[Any] = []

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def another_database(self) -> FragileDatabase:
        """The same database, as another process has it."""

    @abstractmethod
    async def another_bus(self) -> FragileBus:
        """The same log, as another process has it (embedded: there is one process)."""

    def spec(self, handlers: Any = None) -> ConsumerSpec:
        return ConsumerSpec(self.consumer, TOPICS, handlers or {LeadVerified: self.handling.act})

    def runner(
        self,
        member: str = "m",
        *,
        handlers: Any = None,
        bus: Any = None,
        database: Any = None,
    ) -> ConsumerRunner:
        return ConsumerRunner(
            self.spec(handlers),
            database or self.database,
            bus or self.bus,
            self.clock,
            member=member,
            telemetry=self.telemetry,
        )

    @contextlib.asynccontextmanager
    async def running(self, *runners: ConsumerRunner) -> AsyncIterator[asyncio.Event]:
        stop = asyncio.Event()
        tasks = [asyncio.ensure_future(runner.run(stop)) for runner in runners]
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)

    async def at_the_end(self) -> None:
        """Let the consumer begin at the newest record: a log of another test is none of this one's."""
        # imported here: nothing else in this file knows of tables of positions
        from services.shared.runner.positions import POSITIONS

        ends = await self.bus.inner.ends(TOPICS)

        def work(session: Session) -> None:
            for partition, end in ends.items():
                session.execute(
                    POSITIONS.insert().values(
                        consumer=self.consumer,
                        topic=partition.topic,
                        partition=partition.number,
                        next=end,
                    )
                )

        await self.database.transaction(work)

    async def effects(self, *keys: str) -> dict[str, list[int]]:
        """What was done, by key, in order."""
        rows = await self.database._inner.read(
            lambda s: s.execute(
                select(EFFECTS.c.key, EFFECTS.c.number).order_by(EFFECTS.c.seq)
            ).all()
        )
        return {key: [number for found, number in rows if found == key] for key in keys}

    async def until(self, key: str, numbers: Sequence[int], seconds: float = PATIENCE) -> None:
        """Wait until the effects of a key are these."""
        deadline = asyncio.get_running_loop().time() + seconds
        found: list[int] = []
        while asyncio.get_running_loop().time() < deadline:
            found = (await self.effects(key))[key]
            if len(found) >= len(numbers):
                break
            await asyncio.sleep(0.02)
        assert found == list(numbers)

    async def parked(self) -> list[Any]:
        return list(await self.database._inner.read(lambda s: parked.listing(s, 1000)))

    async def until_parked(self, number: int, seconds: float = PATIENCE) -> list[Any]:
        deadline = asyncio.get_running_loop().time() + seconds
        while len(rows := await self.parked()) < number:
            assert asyncio.get_running_loop().time() < deadline, f"{len(rows)} parked"
            await asyncio.sleep(0.02)
        return rows

    async def say(self, *messages: Message) -> None:
        """Put messages into the outbox."""
        await self.database._inner.transaction(lambda s: outbox.put(s, messages, self.clock.now()))

    async def in_outbox(self) -> int:
        return await self.database._inner.read(lambda s: len(s.execute(select(OUTBOX.c.id)).all()))

    async def close(self) -> None:
        for thing in self._closers:
            await thing.close()


class Embedded(Stand):
    name = "embedded"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def open(self) -> None:
        inner = SqliteDatabase(self._folder / "service.sqlite")
        with inner.writer.begin() as connection:
            metadata.create_all(connection)
        self.database = FragileDatabase(inner)
        self.bus = FragileBus(SqliteBus(self._folder / "log.sqlite", self.clock))
        self._closers += [self.bus.inner, self.database]
        await self.bus.start(TOPICS)
        await self.at_the_end()

    async def another_database(self) -> FragileDatabase:
        return FragileDatabase(self.database._inner)

    async def another_bus(self) -> FragileBus:
        return FragileBus(self.bus.inner)


class Scaled(Stand):
    name = "scaled"

    def __init__(self, url: str, servers: str, prefix: str) -> None:
        super().__init__()
        self._url, self._servers, self._prefix = url, servers, prefix

    async def open(self) -> None:
        self.database = await self.another_database()
        inner: Any = self.database._inner
        async with inner.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        self.bus = await self.another_bus()
        await self.at_the_end()

    async def another_database(self) -> FragileDatabase:
        made = FragileDatabase(PostgresDatabase(self._url, "public", self.clock, pool=3))
        self._closers.append(made)
        return made

    async def another_bus(self) -> FragileBus:
        made = KafkaBus(self._servers, self.clock, prefix=self._prefix, times=FAST)
        self._closers.insert(0, made)
        await made.start(TOPICS)
        return FragileBus(made)


async def until(condition: Callable[[], Any], what: str) -> Any:
    return await eventually(condition, what)

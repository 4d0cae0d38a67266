"""Each implementation of the log with what a test needs to know of it."""

import asyncio
import os
import sqlite3
import subprocess
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from services.shared.bus import Bus, Partition, Subscription
from services.shared.bus.kafka import KafkaBus, KafkaTimes
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.events import Record
from tests.components.kafka import SCRIPT
from tests.components.waiting import PATIENCE, eventually
from tests.contract.bus.readers import Reader, Store

TOPICS = ("leads", "views", "profiles")
FAST = KafkaTimes(session=1.5, heartbeat=0.2, answer=5.0, publish=2.0, close=2.0)


class Stand(ABC):
    """A started log. Buses and stores that a test makes are closed after it."""

    name: str

    def __init__(self) -> None:
        self._open: list[Bus] = []
        self._stores: list[Store] = []

    @abstractmethod
    def make(self) -> Bus:
        """Another bus on the same log, as another process has one; not started."""

    async def bus(self) -> Bus:
        bus = self.make()
        self._open.append(bus)
        await bus.start(TOPICS)
        return bus

    async def store(self, bus: Bus, topics: Sequence[str] = TOPICS) -> Store:
        """A store that stands at the end of the log."""
        store = Store()
        self._stores.append(store)
        store.put(await bus.ends(topics))
        return store

    async def close(self) -> None:
        for bus in self._open:
            await bus.close()
        for store in self._stores:
            store.close()


class SqliteStand(Stand):
    name = "sqlite"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def make(self) -> Bus:
        return SqliteBus(self.path, SystemClock())


class KafkaStand(Stand):
    name = "kafka"

    def __init__(self, servers: str, prefix: str) -> None:
        super().__init__()
        self.servers, self.prefix = servers, prefix

    def make(self) -> Bus:
        return KafkaBus(self.servers, SystemClock(), prefix=self.prefix, times=FAST)


class Outage(ABC):
    """A log that can be made to go away."""

    bus: Bus

    @abstractmethod
    async def begin(self) -> None: ...

    @abstractmethod
    async def end(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...


class LockedFile(Outage):
    """Another program holds the write lock of the file."""

    def __init__(self, path: Path) -> None:
        self.bus = SqliteBus(path, SystemClock())
        self._path = path
        self._locker: sqlite3.Connection | None = None

    async def begin(self) -> None:
        self._locker = sqlite3.connect(self._path, isolation_level=None)
        self._locker.execute("BEGIN IMMEDIATE")

    async def end(self) -> None:
        if self._locker is not None:
            self._locker.close()

    async def close(self) -> None:
        await self.end()
        await self.bus.close()


class KilledBroker(Outage):
    """A broker of the test's own is killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "KAFKA_DEV_DIR": str(folder / "broker"),
            "KAFKA_DEV_PORT": "0",
            "KAFKA_DEV_OWNER": str(os.getpid()),
        }
        self.bus = KafkaBus(self._script("start"), SystemClock(), times=FAST)

    def _script(self, *arguments: str) -> str:
        done = subprocess.run(
            [SCRIPT, *arguments], env=self._environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    async def begin(self) -> None:
        await asyncio.to_thread(self._script, "kill", "1")

    async def end(self) -> None:
        await asyncio.to_thread(self._script, "start")

    async def close(self) -> None:
        await self.bus.close()
        await asyncio.to_thread(self._script, "clean")


def new_group() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


async def collect(
    subscription: Subscription, reader: Reader, enough: Callable[[list[Record]], bool]
) -> list[Record]:
    """Read and apply until there is enough; what was applied."""
    records: list[Record] = []
    async with asyncio.timeout(PATIENCE):
        while not enough(records):
            for batch in await subscription.fetch(1000, 0.5):
                if reader.apply(batch):
                    records += batch.records
                else:
                    await subscription.seek(batch.partition)
    return records


async def has_joined(*members: Subscription) -> frozenset[Partition]:
    """Wait until every partition is somebody's, and tell all."""

    def shared() -> frozenset[Partition] | None:
        shares = [member.assigned() for member in members]
        union = frozenset().union(*shares)
        return union if all(shares) and len(union) == sum(map(len, shares)) else None

    found = await eventually(shared, "every member reads something")
    assert found is not None
    return found


def bytes_on_disk(path: Path) -> bytes:
    """Everything that the file and its side files hold."""
    return b"".join(part.read_bytes() for part in sorted(path.parent.glob(f"{path.name}*")))


def integrity(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])

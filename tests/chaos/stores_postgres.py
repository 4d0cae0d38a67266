"""The same questions as `stores.Stores`, asked of PostgreSQL and of the brokers."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.shared.events.catalogue import CATALOGUE, PARTITIONS
from tests.chaos.stores import SERVICES, Stores

T = TypeVar("T")

_ANSWER_SECONDS = 30.0


def _topics() -> dict[str, frozenset[str]]:
    """The topics that each service reads."""
    return {
        name: frozenset(entry.event.topic for entry in CATALOGUE if name in entry.consumers)
        for name in SERVICES
    }


class PostgresStores(Stores):
    """The databases of a system in the scaled mode. It asks in a thread, so that it can be asked anywhere."""

    def __init__(self, url: str, servers: str, prefix: str) -> None:
        self._url = url
        self._servers = servers
        self._prefix = prefix
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connections: dict[str, asyncpg.Connection] = {}
        self._asker: AIOKafkaConsumer | None = None

    def rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        return self._await(self._fetch(service, query))

    def damaged(self) -> list[str]:
        return []  # PostgreSQL checks its own pages when it reads them, and says so in its answers

    def waiting(self) -> dict[str, int]:
        found = {f"outbox of {name}": self._count(name, "outbox") for name in SERVICES}
        found |= {f"parked at {name}": self._count(name, "parked") for name in SERVICES}
        ends = self._await(self._log_ends())
        for name, topics in _topics().items():
            query = "SELECT topic, partition, next FROM positions"
            at = {(topic, number): int(next_) for topic, number, next_ in self.rows(name, query)}
            for (topic, number), end in ends.items():
                if topic in topics:
                    lag = f"lag of {name} in {topic}"
                    found[lag] = found.get(lag, 0) + end - at.get((topic, number), 0)
        return {name: n for name, n in (found | self._unfinished()).items() if n}

    def close(self) -> None:
        """Let go of every connection."""
        self._await(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_SECONDS)

    async def _fetch(self, service: str, query: str) -> list[tuple[Any, ...]]:
        connection = self._connections.get(service)
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(
                self._url, server_settings={"search_path": service}, statement_cache_size=0
            )
            self._connections[service] = connection
        return [tuple(row.values()) for row in await connection.fetch(query)]

    async def _log_ends(self) -> dict[tuple[str, int], int]:
        """By topic and partition, the number that the next record gets."""
        if self._asker is None:
            self._asker = AIOKafkaConsumer(bootstrap_servers=self._servers)
            await self._asker.start()
        topics = {entry.event.topic for entry in CATALOGUE}
        places = [TopicPartition(self._prefix + t, n) for t in topics for n in range(PARTITIONS)]
        ends = await self._asker.end_offsets(places)
        return {
            (place.topic.removeprefix(self._prefix), place.partition): int(end)
            for place, end in ends.items()
        }

    async def _close(self) -> None:
        for connection in self._connections.values():
            await connection.close(timeout=2)
        if self._asker is not None:
            await self._asker.stop()

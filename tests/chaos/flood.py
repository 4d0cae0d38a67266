"""Many people at once, over raw connections, faster than they are served; who was accepted is known by name."""

import asyncio
import collections
import json
import time
from dataclasses import dataclass, field

from bench.load import Connection, post
from tests.chaos.crowd import SLUG


@dataclass
class Flood:
    """People who leave their contact. `rate` None: as fast as the answers come, else so many a second."""

    port: int
    name: str
    connections: int
    rate: float | None = None
    accepted: list[str] = field(default_factory=list)
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    refused: list[tuple[float, float]] = field(default_factory=list)
    """When each of those who were refused asked, and heard it."""
    offered: int = 0
    seconds: float = 0.0

    async def run(self, seconds: float) -> None:
        """Let them come for so long, and wait for all answers."""
        loop = asyncio.get_running_loop()
        free: collections.deque[Connection] = collections.deque()
        whose: dict[Connection, str] = {}

        def answered(connection: Connection, status: int) -> None:
            self.statuses[status] += 1
            address = whose.pop(connection)
            if status == 202:
                self.accepted.append(address)
            elif status == 503:
                self.refused.append((connection.intended, time.monotonic()))
            free.append(connection)

        made = []
        for _ in range(self.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(answered), "127.0.0.1", self.port
            )
            made.append(connection)
        free.extend(made)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            due = self.offered + len(free) if self.rate is None else int(self.rate * passed)
            while free and self.offered < due:
                connection = free.popleft()
                whose[connection] = address = f"{self.name}{self.offered}@people.example"
                self.offered += 1
                connection.send(_request(address), time.monotonic())
            if self.rate is not None and self.offered < due:
                self.offered = due  # nobody is free to ask for these: they turn away
            await asyncio.sleep(0.001)
        self.seconds = time.monotonic() - begun
        async with asyncio.timeout(60):
            while whose:  # noqa: ASYNC110  # answers have no event
                await asyncio.sleep(0.02)
        for connection in made:
            connection.close()

    @property
    def accepted_rate(self) -> float:
        """Leads accepted a second."""
        return len(self.accepted) / self.seconds


def _request(address: str) -> bytes:
    body = {"contact": {"email": address}, "language": "en"}
    return post(f"/v1/baits/{SLUG}/leads", json.dumps(body).encode())

"""The system under test in the scaled mode: four processes behind a proxy, any of them killed at any moment."""

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from services.shared.auth.keys import Keys
from services.shared.clock import SystemClock
from services.shared.database.postgres import PostgresDatabase
from services.shared.ids import Ids
from tests.chaos.backing import Backing
from tests.chaos.client import Client
from tests.chaos.pieces import SWITCHES
from tests.chaos.stores import Stores
from tests.chaos.stores_postgres import PostgresStores
from tests.chaos.victim import COMMAND_SECONDS, READY_SECONDS, program, run_command
from tests.components.processes import ChildProcess
from tests.components.waiting import TooLate
from tests.e2e.systems import SERVICES, STOP_SECONDS, Scaled


class ScaledVictim(Scaled):
    """A service each in a process. `changes` are words of `tests.chaos.changed`."""

    def __init__(
        self,
        folder: Path,
        settings: dict[str, str],
        backing: Backing,
        *,
        saboteur: str | None = None,
        changes: Sequence[str] = (),
    ) -> None:
        url, prefix = backing.database(), backing.prefix()
        super().__init__(folder, url, backing.broker.bootstrap, prefix, settings)
        self.backing = backing
        self.kills = 0
        self._program = [sys.executable, "-m", *program(saboteur, changes), "run"]
        self.settings[SWITCHES] = str(folder / "switches")
        self.before: Sequence[str] = ()
        """Words before the command of each service."""
        self._where = (url, backing.broker.bootstrap, prefix)

    @property
    def metrics_urls(self) -> list[str]:
        return list(self.upstreams.values())

    def pids(self) -> dict[str, int]:
        """The processes of services, by name."""
        return {name: p.pid for name, p in self.processes.items() if name != "proxy"}

    def stores(self) -> Stores:
        """Its databases, to be closed by the caller."""
        return PostgresStores(*self._where)

    async def begin(self) -> None:
        """Start all, wait until all are ready."""
        self.admin_key = self.admin_key or await self._first_key()
        for name in SERVICES:
            self.start_service(name)
        self.processes["proxy"] = ChildProcess(
            [
                *(sys.executable, "-m", "tests.e2e.front", str(self.port)),
                *(f"{name}={url}" for name, url in self.upstreams.items()),
            ],
            self.folder / "proxy.log",
        )
        for name in (*SERVICES, "proxy"):
            await self.until_ready(name)

    def start_service(self, name: str) -> None:
        self.processes[name] = self.start_process(name, name, self.ports[name])

    def start_process(self, service: str, name: str, port: int, *words: str) -> ChildProcess:
        """One more process of a service, with `words` behind its command."""
        return ChildProcess(
            [*self.before, *self._program, service, *words],
            self.folder / f"{name}.log",
            env={**self.settings, "BAITWELL_PORT": str(port)},
        )

    async def until_ready(self, name: str) -> None:
        """Wait until a process says that everything behind it works."""
        process = self.processes[name]
        end = time.monotonic() + READY_SECONDS
        async with Client(self.upstreams.get(name, self.url)) as client:
            while not await client.is_ready():
                if not process.running:
                    raise TooLate(f"{name} ended while starting:\n{process.tail()}")
                if time.monotonic() > end:
                    raise TooLate(f"{name}: not ready in {READY_SECONDS:g} s:\n{process.tail()}")
                await asyncio.sleep(0.03)

    async def strike(self, chance: random.Random, only: str | None = None) -> None:
        """`kill -9` of a service that chance picks (or of the one that is named), and at once a new start."""
        name = only or chance.choice(SERVICES)
        self.processes[name].kill()
        self.kills += 1
        self.start_service(name)
        await self.until_ready(name)

    async def command(self, *words: str, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run another command of the program to its end, or kill it: its exit status, and what it said."""
        return await run_command([*self._program[:-1], *words], self.settings, seconds)

    async def end(self) -> int:
        """SIGTERM to all; 0, or the first exit status that is another. Killed when it takes too long."""
        stopping = [
            asyncio.to_thread(process.stop, STOP_SECONDS + 5)
            for name, process in self.processes.items()
            if name != "proxy"
        ]
        statuses = await asyncio.gather(*stopping)
        return next((status for status in statuses if status), 0)

    async def _first_key(self) -> str:
        clock = SystemClock()
        database = PostgresDatabase(self._where[0], "auth", clock, pool=1)
        try:
            return await Keys(database, clock, Ids(clock)).create("first", ["admin"])
        finally:
            await database.close()

"""The system under test: a real process that is killed at any moment and started again on the same data."""

import asyncio
import sys
import time
from pathlib import Path

from tests.chaos.client import Client
from tests.components.processes import ChildProcess
from tests.components.waiting import TooLate
from tests.e2e.systems import KEY, STOP_SECONDS, Embedded

_READY_SECONDS = 40.0


class Victim(Embedded):
    """Everything in one process, driven without holding up the loop that the sink runs in."""

    def __init__(
        self, folder: Path, settings: dict[str, str], *, saboteur: str | None = None
    ) -> None:
        super().__init__(folder, settings)
        program = ["services"] if saboteur is None else ["tests.chaos.sabotaged", saboteur]
        self._command = [sys.executable, "-m", *program, "run"]
        self.kills = 0

    async def begin(self) -> None:
        """Start it, wait until it is ready."""
        self.process = ChildProcess(
            self._command, self.folder / "baitwell.log", env=dict(self.settings)
        )
        end = time.monotonic() + _READY_SECONDS
        async with Client(self.url) as client:
            while not await client.is_ready():
                if not self.process.running:
                    raise TooLate(f"it ended while starting:\n{self.process.tail()}")
                if time.monotonic() > end:
                    raise TooLate(f"not ready in {_READY_SECONDS:g} s:\n{self.process.tail()}")
                await asyncio.sleep(0.03)
        found = KEY.search(self.process.log.read_text())
        if found and not self.admin_key:
            self.admin_key = found[0]

    async def strike(self) -> None:
        """`kill -9`, and at once a new start on the same data."""
        self.kill()
        self.kills += 1
        await self.begin()

    async def end(self) -> int:
        """SIGTERM; the exit status. Killed when it takes too long."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.stop, STOP_SECONDS + 5)

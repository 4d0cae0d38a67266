"""The system under test: a real process that is killed at any moment and started again on the same data."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import psutil

from tests.chaos.client import Client
from tests.chaos.pieces import SWITCHES
from tests.chaos.stores import Stores
from tests.components.processes import ChildProcess
from tests.components.waiting import TooLate
from tests.e2e.systems import KEY, STOP_SECONDS, Embedded

COMMAND_SECONDS = 60.0

READY_SECONDS = 240.0
"""A start takes a second of processor time: on a machine with many other things to do, a minute and more."""


class Target(Protocol):
    """What cases do with a system, in either mode."""

    mode: str
    folder: Path
    url: str
    admin_key: str
    settings: dict[str, str]
    kills: int
    before: Sequence[str]
    """Words before the command of each of its processes."""

    @property
    def metrics_urls(self) -> list[str]:
        """Where `/metrics` is asked."""
        ...

    def pids(self) -> dict[str, int]:
        """The processes of the program, by name."""
        ...

    def stores(self) -> Stores:
        """Its databases, read from outside; to be closed by the caller."""
        ...

    async def begin(self) -> None:
        """Start it, wait until it is ready."""
        ...

    async def command(self, *words: str, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run another command of the program to its end, or kill it: its exit status, and what it said."""
        ...

    async def strike(self, chance: random.Random, only: str | None = None) -> None:
        """`kill -9` of one process, and at once a new start on the same data.

        Which one chance decides, or `only` names it; in the embedded mode there is only one.
        """
        ...

    async def end(self) -> int:
        """SIGTERM; the exit status. Killed when it takes too long."""
        ...

    def kill(self) -> None:
        """SIGKILL to all."""
        ...

    def logs(self) -> str:
        """All that the processes have written so far."""
        ...


def program(saboteur: str | None, changes: Sequence[str] = ()) -> list[str]:
    """The module that runs the product, with what is put in place of its parts."""
    words = [*changes, *([saboteur] if saboteur else [])]
    if not words:
        return ["services"]
    return ["tests.chaos.changed", ",".join(words)]


async def run_command(
    words: Sequence[str | Path], settings: Mapping[str, str], seconds: float
) -> tuple[int, str]:
    """Run a program for so long at most: its exit status, and what it said."""
    started = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **settings},
    )
    saying = asyncio.create_task(started.communicate())
    if not (await asyncio.wait([saying], timeout=seconds))[0]:
        started.kill()
    said, _ = await saying
    return started.returncode or 0, said.decode()


class Victim(Embedded):
    """Everything in one process, driven without holding up the loop that the sink runs in.

    `changes` are words of `tests.chaos.changed`.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, str],
        *,
        saboteur: str | None = None,
        changes: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, settings)
        self._command = [sys.executable, "-m", *program(saboteur, changes), "run"]
        self.settings[SWITCHES] = str(folder / "switches")
        self.kills = 0
        self.before: Sequence[str] = ()
        """Words before its command: what it is started by."""

    @property
    def metrics_urls(self) -> list[str]:
        return [self.url]

    def pids(self) -> dict[str, int]:
        """The one process."""
        assert self.process is not None
        started = self._started()
        return {"all": started[0].pid if started else self.process.pid}

    def stores(self) -> Stores:
        """The SQLite files of its data directory."""
        return Stores(self.data)

    async def begin(self) -> None:
        """Start it, wait until it is ready."""
        self.process = ChildProcess(
            [*self.before, *self._command],
            self.folder / "baitwell.log",
            env=dict(self.settings),
        )
        end = time.monotonic() + READY_SECONDS
        async with Client(self.url) as client:
            while not await client.is_ready():
                if not self.process.running:
                    raise TooLate(f"it ended while starting:\n{self.process.tail()}")
                if time.monotonic() > end:
                    raise TooLate(f"not ready in {READY_SECONDS:g} s:\n{self.process.tail()}")
                await asyncio.sleep(0.03)
        found = KEY.search(self.process.log.read_text())
        if found and not self.admin_key:
            self.admin_key = found[0]

    async def strike(
        self,
        chance: random.Random | None = None,
        only: str | None = None,
    ) -> None:
        """`kill -9`, and at once a new start on the same data."""
        self.kill()
        self.kills += 1
        await self.begin()

    async def command(self, *words: str, seconds: float = COMMAND_SECONDS) -> tuple[int, str]:
        """Run another command of the program to its end, or kill it: its exit status, and what it said."""
        return await run_command([*self._command[:-1], *words], self.settings, seconds)

    async def end(self) -> int:
        """SIGTERM; the exit status. Killed when it takes too long."""
        assert self.process is not None
        for own in self._started():
            own.terminate()
        return await asyncio.to_thread(self.process.stop, STOP_SECONDS + 5)

    def kill(self) -> None:
        for own in self._started():
            own.kill()
        super().kill()

    def _started(self) -> list[psutil.Process]:
        """The program itself, where another one started it and would let it run on."""
        if not self.before or self.process is None or not self.process.running:
            return []
        return psutil.Process(self.process.pid).children()

"""Keeps background tasks alive: one that fails is logged, counted and started again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.shared.clock import Clock

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_HEALTHY = 60.0

Loop = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set."""


@dataclass(frozen=True)
class BackgroundTask:
    """A named loop."""

    name: str
    loop: Loop


class Supervisor:
    """Starts tasks, restarts those that fail, and stops them all within a bound."""

    def __init__(self, clock: Clock, *, grace: float = 4.0) -> None:
        self._clock = clock
        self._grace = grace
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, int] = {}

    def start(self, task: BackgroundTask) -> None:
        """Run a task until `stop`."""
        self._tasks[task.name] = asyncio.create_task(self._keep(task), name=task.name)

    async def _keep(self, task: BackgroundTask) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            begun = self._clock.monotonic()
            try:
                await task.loop(self._stop)
            except Exception:  # the runner: a task that failed starts again
                self.failures[task.name] = self.failures.get(task.name, 0) + 1
                log.exception("background task %s failed and starts again", task.name)
            if self._clock.monotonic() - begun > _HEALTHY:
                pause = _FIRST_PAUSE
            if not self._stop.is_set():
                await self._clock.wait(self._stop, pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def stop(self) -> None:
        """Ask all to end; cancel those that do not within the bound."""
        self._stop.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks.values(), timeout=self._grace)
        for task in late:
            log.warning("background task %s did not end in time", task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1.0)

"""How long a program had work to do and no processor to do it on: the machine's delay, not the program's."""

import asyncio
import bisect
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_OFTEN = 0.05


class Queueing:
    """Notes, whenever it is asked to, how long all threads of these processes have queued for a processor."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._times: list[float] = []
        self._queued: list[float] = []

    def note(self) -> None:
        """Look now."""
        # a thread that has ended takes its time with it
        last = self._queued[-1] if self._queued else 0.0
        self._queued.append(max(last, sum(_queued(pid) for pid in self._pids)))
        self._times.append(time.monotonic())

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self.note()
            await asyncio.sleep(_OFTEN)

    def between(self, begin: float, end: float) -> float:
        """Seconds of queueing between two moments, by the notes that lie between them: rather too few."""
        first = bisect.bisect_left(self._times, begin)
        last = bisect.bisect_right(self._times, end) - 1
        return self._queued[last] - self._queued[first] if first < last else 0.0


def _queued(pid: int) -> float:
    """Of all threads of a process, in seconds; 0 where the kernel does not tell."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            total += int(path.read_text().split()[1])
    return total / 1e9

"""Time as a port: everything that asks for the time or waits does it through a `Clock`."""

import asyncio
import contextlib
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Integer microseconds since 1970 UTC of an aware datetime."""
    return (moment - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of integer microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


class Clock(Protocol):
    """What time it is, and waiting for it to pass."""

    def now(self) -> datetime:
        """The wall clock: an aware datetime in UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unknown start. It never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; 0 lets others run."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for `event` at most `seconds`; True when it was set."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        return event.is_set()


class ShiftedClock(SystemClock):
    """The machine's clock, moved by an offset that can grow: the demonstration lives a week in a minute.

    Both hands move together, so a shift never looks like a jump of the wall clock.
    """

    def __init__(self, offset: timedelta) -> None:
        self._start = time.monotonic()
        self._offset = offset
        self._moved = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset + self._moved

    def monotonic(self) -> float:
        return time.monotonic() + self._moved.total_seconds()

    def advance(self, by: timedelta) -> None:
        """Move both hands forward."""
        if by < timedelta(0):
            raise ValueError("time only moves forward")
        self._moved += by

    @property
    def behind(self) -> timedelta:
        """How far this clock is behind the machine's (negative: ahead)."""
        return -(self._offset + self._moved)


class VirtualClock:
    """A clock for tests and simulations: it moves only when told to."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        await self._alarm(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        alarm = self._alarm(seconds)
        waiter: asyncio.Future[None] = asyncio.ensure_future(_set(event))
        try:
            await asyncio.wait({alarm, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            alarm.cancel()
        return event.is_set()

    def _alarm(self, seconds: float) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._sleepers, (self._monotonic + max(0.0, seconds), next(self._order), future)
        )
        return future

    def next_alarm(self) -> float | None:
        """Seconds until the next sleeper wakes, or None when nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        if not self._sleepers:
            return None
        return max(0.0, self._sleepers[0][0] - self._monotonic)

    def advance(self, seconds: float) -> None:
        """Move both hands forward and wake who slept until then."""
        self._monotonic += seconds
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic + 1e-9:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

    def jump(self, by: timedelta) -> None:
        """Move the wall clock alone, as somebody who sets the time does."""
        self._now += by


async def _set(event: asyncio.Event) -> None:
    await event.wait()

"""The supervisor: what fails starts again, and all of it ends in time."""

import asyncio

from services.shared.clock import SystemClock, VirtualClock
from services.shared.runner.supervisor import BackgroundTask, Supervisor
from tests.components.waiting import PATIENCE, eventually


async def turn(clock: VirtualClock, seconds: float) -> None:
    """Let everybody run, then let time pass."""
    for _ in range(5):
        await asyncio.sleep(0)
    clock.advance(seconds)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_task_that_fails_starts_again_and_is_counted() -> None:
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    starts = 0

    async def fails_twice(stop: asyncio.Event) -> None:
        nonlocal starts
        starts += 1
        if starts < 3:
            raise LookupError("of its own")
        await stop.wait()

    supervisor.start(BackgroundTask("fragile", fails_twice))
    await turn(clock, 0)
    assert starts == 1, "it does not start again at once"
    for _ in range(3):
        await turn(clock, 5.0)
    assert starts == 3
    assert supervisor.failures == {"fragile": 2}
    await supervisor.stop()


async def test_one_that_fails_for_days_is_still_started_again() -> None:
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    starts = 0

    async def fails(_stop: asyncio.Event) -> None:
        nonlocal starts
        starts += 1
        raise LookupError

    supervisor.start(BackgroundTask("hopeless", fails))
    for _ in range(1200):
        await turn(clock, 5.0)
    assert starts >= 1190
    await supervisor.stop()


async def test_one_that_ends_by_itself_does_not_spin() -> None:
    clock = VirtualClock()
    supervisor = Supervisor(clock)
    starts = 0

    async def ends(_stop: asyncio.Event) -> None:
        nonlocal starts
        starts += 1

    supervisor.start(BackgroundTask("brief", ends))
    for _ in range(100):
        await turn(clock, 0)
    assert starts == 1
    await supervisor.stop()


async def test_a_failure_of_one_does_not_touch_the_others() -> None:
    supervisor = Supervisor(SystemClock())
    beats = 0

    async def beating(stop: asyncio.Event) -> None:
        nonlocal beats
        while not stop.is_set():
            beats += 1
            await asyncio.sleep(0)

    async def fails(_stop: asyncio.Event) -> None:
        raise LookupError

    supervisor.start(BackgroundTask("bad", fails))
    supervisor.start(BackgroundTask("good", beating))
    await eventually(lambda: beats > 10, "the other one goes on")
    await supervisor.stop()


async def test_stopping_waits_for_what_ends_and_cancels_what_does_not() -> None:
    supervisor = Supervisor(SystemClock(), grace=0.1)
    finished: list[str] = []

    async def tidy(stop: asyncio.Event) -> None:
        await stop.wait()
        finished.append("tidy")

    async def deaf(_stop: asyncio.Event) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            finished.append("cancelled")

    supervisor.start(BackgroundTask("tidy", tidy))
    supervisor.start(BackgroundTask("deaf", deaf))
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await supervisor.stop()
    assert finished == ["tidy", "cancelled"]


async def test_stopping_nothing_is_nothing() -> None:
    await Supervisor(SystemClock()).stop()

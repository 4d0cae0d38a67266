"""Clocks: the machine's, the shifted one, and the one that moves when told."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.shared.clock import (
    EPOCH,
    Clock,
    ShiftedClock,
    SystemClock,
    VirtualClock,
    from_micros,
    to_micros,
)
from tests.components.waiting import PATIENCE


@pytest.mark.parametrize(
    "moment",
    [
        EPOCH,
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1, 1, 1, tzinfo=UTC),
    ],
)
def test_microseconds_are_exact(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


@pytest.mark.parametrize("clock", [SystemClock(), ShiftedClock(timedelta(days=-7))])
async def test_real_clocks_wait_for_an_event_or_the_time(clock: Clock) -> None:
    event = asyncio.Event()
    assert not await clock.wait(event, 0.01)
    asyncio.get_running_loop().call_soon(event.set)
    async with asyncio.timeout(PATIENCE):
        assert await clock.wait(event, 60)
        assert await clock.wait(event, 0)
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now().utcoffset() == timedelta(0)


def test_a_shifted_clock_moves_both_hands() -> None:
    clock = ShiftedClock(timedelta(days=-7))
    wall, steady = clock.now(), clock.monotonic()
    assert timedelta(days=6, hours=23) < clock.behind < timedelta(days=7, seconds=1)
    clock.advance(timedelta(days=7))
    assert abs((clock.now() - wall) - timedelta(days=7)) < timedelta(minutes=1)
    assert clock.monotonic() - steady == pytest.approx(7 * 86400, abs=60)
    assert clock.behind == timedelta(0)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(timedelta(seconds=-1))


async def test_a_virtual_clock_wakes_sleepers_in_their_order() -> None:
    clock = VirtualClock()
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.ensure_future(sleeper(n, s)) for n, s in (("late", 2), ("early", 1))]
    await clock.sleep(0)
    assert clock.next_alarm() == 1
    clock.advance(1)
    await asyncio.sleep(0)
    assert woken == ["early"]
    clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == ["early", "late"]
    assert clock.next_alarm() is None


async def test_a_virtual_wait_ends_by_the_event_or_the_time() -> None:
    clock, event = VirtualClock(), asyncio.Event()
    waiting = asyncio.ensure_future(clock.wait(event, 10))
    await asyncio.sleep(0)
    clock.advance(10)
    assert not await waiting
    waiting = asyncio.ensure_future(clock.wait(event, 10))
    await asyncio.sleep(0)
    event.set()
    assert await waiting
    assert clock.next_alarm() is None, "an alarm that nobody waits for is forgotten"


def test_a_jump_moves_the_wall_clock_alone() -> None:
    clock = VirtualClock()
    wall, steady = clock.now(), clock.monotonic()
    clock.jump(timedelta(hours=-1))
    assert clock.now() == wall - timedelta(hours=1)
    assert clock.monotonic() == steady

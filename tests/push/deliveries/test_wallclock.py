"""The guard of the wall clock."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.push.deliveries.wallclock import WallClock
from services.shared.clock import VirtualClock
from services.shared.database import Database
from tests.ground import sqlite_database

HOUR = timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = sqlite_database(tmp_path / "push.sqlite", "push")
    yield database
    await database.close()


async def started(database: Database, clock: VirtualClock) -> WallClock:
    guard = WallClock(database, clock)
    assert guard.closed() == "clock_unchecked"
    await guard.check()
    return guard


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(seconds=61)])
async def test_a_jump_closes_it_at_once_and_undoing_opens_it(database, jump: timedelta):
    clock = VirtualClock()
    guard = await started(database, clock)
    clock.jump(jump)
    assert guard.closed() == "clock_jumped"
    clock.advance(30)
    await guard.check()
    assert guard.closed() == "clock_jumped"
    clock.jump(-jump)
    assert guard.closed() is None


async def test_time_that_passes_and_a_clock_that_is_put_right_slowly_are_no_jump(database):
    clock = VirtualClock()
    guard = await started(database, clock)
    clock.advance(24 * 3600)
    assert guard.closed() is None
    for _ in range(50):
        clock.jump(timedelta(seconds=10))
        await guard.check()
        assert guard.closed() is None


async def test_an_operator_confirms_for_every_process(database):
    clock = VirtualClock()
    one, two = await started(database, clock), await started(database, clock)
    clock.jump(-HOUR)
    await one.confirm()
    assert one.closed() is None
    assert two.closed() == "clock_jumped"
    await two.check()
    assert two.closed() is None


async def test_a_start_behind_the_last_time_written_waits_until_it_is_reached(database):
    clock = VirtualClock()
    await started(database, clock)
    clock.jump(-HOUR)
    late = await started(database, clock)
    assert late.closed() == "clock_behind"
    clock.advance(3600)
    assert late.closed() is None


async def test_a_confirmation_is_remembered_by_the_next_start(database):
    clock = VirtualClock()
    await started(database, clock)
    clock.jump(-HOUR)
    guard = await started(database, clock)
    await guard.confirm()
    assert guard.closed() is None
    again = await started(database, clock)
    assert again.closed() is None

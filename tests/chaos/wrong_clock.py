"""A wall clock that a file sets wrong while the program runs (R9). The monotonic clock goes on as it does."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from services.push.deliveries import service
from services.push.deliveries.wallclock import WallClock
from services.shared.clock import Clock, SystemClock
from services.shared.database import lease
from tests.chaos.pieces import replace, switch

OFFSET = "clock-offset"
"""The switch's file: by how many seconds the clock is wrong; right without it."""


def set_by_file() -> None:
    """The time is the machine's, moved by what the file says."""
    right = SystemClock.now

    def now(clock: SystemClock) -> datetime:
        try:
            offset = float(switch(OFFSET).read_text() or 0)
        except FileNotFoundError:
            offset = 0.0
        return right(clock) + timedelta(seconds=offset)

    replace(SystemClock, "now", now)


def believes_the_clock() -> None:
    """Nobody minds that the clock has jumped."""
    replace(WallClock, "closed", lambda _clock: None)


def everywhere() -> None:
    """The database's clock is as wrong as the program's."""
    set_by_file()
    replace(lease, "database_now", _program_now)
    replace(service, "database_now", _program_now)


def _program_now(_session: Session, clock: Clock) -> datetime:
    return clock.now()


CHANGES: dict[str, Callable[[], Any]] = {
    "wrong-clock": set_by_file,
    "other-time": everywhere,
}
SABOTEURS: dict[str, Callable[[], Any]] = {"believes-the-clock": believes_the_clock}

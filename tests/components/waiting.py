"""Waiting for a condition with a deadline, in place of sleeping and hoping."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")  # Python 3.11 has no type parameters in brackets

PAUSE = 0.02
PATIENCE = 60.0
"""Seconds after which what is waited for will not come: only a failing test waits so long.

No machine that does the work at all is so slow. Whether something is quick is measured by `make bench`, not here.
"""


class TooLate(AssertionError):
    """What was waited for did not come in time."""


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """The first true value of `condition`; raises `TooLate` naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TooLate(f"{what}: not within {seconds:g} s")
        time.sleep(PAUSE)
    return value


async def eventually(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """`wait_until` for a test whose event loop has to go on meanwhile."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise TooLate(f"{what}: not within {seconds:g} s")
        await asyncio.sleep(PAUSE)
    return value

"""Between two steps that a saboteur has put in the wrong order: it says so, so that a kill need not be lucky.

The program as it is has no such moment; then a kill comes when chance says.
"""

import asyncio
import os
import time
from collections.abc import Collection
from pathlib import Path

from tests.chaos.pieces import SWITCHES, switch

_BETWEEN = "between-"
_MOMENT = 0.25
_LOOK = 0.005
_CAUGHT_WITHIN = 10.0

SAY_SO = frozenset({"early-answer", "early-position", "early-delete"})
"""The saboteurs that do."""


async def moment(matters: bool = True) -> None:  # what is said of it
    """In the program: the time between the two steps, as a slow disk or a busy machine makes it.

    It is not said of what people would not miss: a case without a campaign compares no counters.
    """
    if SWITCHES not in os.environ or not matters:
        await asyncio.sleep(_MOMENT)
        return
    said = switch(f"{_BETWEEN}{os.getpid()}")
    said.parent.mkdir(exist_ok=True)
    said.touch()
    await asyncio.sleep(_MOMENT)
    said.unlink(missing_ok=True)


async def caught(folder: Path, pids: Collection[int]) -> int | None:
    """In the case: one of these processes of the system in `folder` that is between; None after 10 s."""
    end = time.monotonic() + _CAUGHT_WITHIN
    said = {pid: folder / "switches" / f"{_BETWEEN}{pid}" for pid in pids}
    while time.monotonic() < end:
        for pid, path in said.items():
            if path.exists():
                return pid
        await asyncio.sleep(_LOOK)
    return None

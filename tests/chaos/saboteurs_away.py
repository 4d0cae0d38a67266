"""Saboteurs of what happens while something is away (R5, R7, R8): who gives up, and who promises too much."""

import asyncio
from collections.abc import Callable
from typing import Any

from services.capture.leads.service import LeadDesk, Prepared
from services.capture.leads.submission import Accepted, Submission
from services.shared.bus import BusUnavailable
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import DatabaseUnavailable, Unavailable
from services.shared.outbox import Relay
from tests.chaos.pieces import replace

_TICK = 0.5
_STUNNED_AFTER = 5.0


def gives_up() -> None:
    """The relay ends at the first error of the log or the database, in place of trying again."""
    careful = Relay.step

    async def hasty(relay: Relay) -> int:
        try:
            return await careful(relay)
        except (BusUnavailable, DatabaseUnavailable):
            await asyncio.Event().wait()
            raise

    replace(Relay, "step", hasty)


def stunned() -> None:
    """The relay does nothing more after the whole process stood still for some seconds."""
    careful = Relay.step
    awake: set[asyncio.Task[None]] = set()
    stunned = asyncio.Event()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK)
            if loop.time() - before > _STUNNED_AFTER:
                stunned.set()

    async def hasty(relay: Relay) -> int:
        if not awake:
            awake.add(asyncio.get_running_loop().create_task(watch()))
        if stunned.is_set():
            await asyncio.Event().wait()
        return await careful(relay)

    replace(Relay, "step", hasty)


def sync_off() -> None:
    """Commits are left to the system's cache: synchronous=OFF."""
    defaults = SqliteDatabase.__init__.__kwdefaults__
    assert defaults is not None
    assert defaults["synchronous"] == "FULL"
    defaults["synchronous"] = "OFF"


def answers_anyway() -> None:
    """202 also for what could not be committed."""
    careful = LeadDesk._submit

    async def hasty(desk: LeadDesk, prepared: Prepared, submission: Submission) -> Accepted:
        try:
            return await careful(desk, prepared, submission)
        except Unavailable:
            return prepared.accepted

    replace(LeadDesk, "_submit", hasty)


SABOTEURS: dict[str, Callable[[], Any]] = {
    "gives-up": gives_up,
    "stunned": stunned,
    "sync-off": sync_off,
    "answers-anyway": answers_anyway,
}

"""The guard of the wall clock: what is scheduled waits while the time is in doubt.

In doubt is a clock that jumped by over 60 s against the monotonic one, or that stands behind the last
time that was written. It is over when the clock is set right again, or when an operator confirms it
(`POST /v1/deliveries/clock/confirm`, which reaches every process by the database).
"""

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.deliveries.models import ClockMark
from services.push.sets import dialect_of
from services.shared.clock import Clock, to_micros
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

MARKS = ClockMark.__table__  # type: ignore[attr-defined]  # what SQLModel adds

JUMP_SECONDS = 60.0
_BEHIND = timedelta(seconds=5)  # clocks of several machines differ by less
_EVERY = 1.0
_WRITE = 10.0


class _Mark(NamedTuple):
    written_at: datetime
    confirmed: int


class WallClock:
    """Watches one process's clock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._difference: float | None = None
        self._behind: datetime | None = None
        self._confirmed = 0
        self._written = float("-inf")

    def closed(self) -> str | None:
        """`clock_unchecked`, `clock_jumped` or `clock_behind` while the time is in doubt."""
        if self._difference is None:
            return "clock_unchecked"
        if abs(self._now_difference() - self._difference) > JUMP_SECONDS:
            return "clock_jumped"
        if self._behind is not None and self._clock.now() < self._behind - _BEHIND:
            return "clock_behind"
        return None

    async def run(self, stop: asyncio.Event) -> None:
        """Look every second, until `stop` is set."""
        while not stop.is_set():
            with contextlib.suppress(DatabaseUnavailable):  # nothing can be sent then, either
                await self.check()
            await self._clock.wait(stop, _EVERY)

    async def check(self) -> None:
        """Look at the clock once, and note the time when it is not in doubt."""
        mark = await self._database.read(_read)
        if self._difference is None:
            self._difference = self._now_difference()
            self._behind = mark.written_at if mark else None
            self._confirmed = mark.confirmed if mark else 0
        elif mark is not None and mark.confirmed != self._confirmed:
            self._confirmed = mark.confirmed
            self._difference = self._now_difference()
            self._behind = None
        if self.closed() is not None:
            return
        # a clock that is put right slowly never jumps
        self._difference = self._now_difference()
        self._behind = None
        if self._clock.monotonic() - self._written >= _WRITE:
            self._written = self._clock.monotonic()
            now = self._clock.now()
            await self._database.transaction(lambda session: _write(session, now))

    async def confirm(self) -> None:
        """An operator says that the time is right."""
        now = self._clock.now()
        await self._database.transaction(lambda session: _confirm(session, now))
        await self.check()

    def _now_difference(self) -> float:
        return to_micros(self._clock.now()) / 1e6 - self._clock.monotonic()


def _read(session: Session) -> _Mark | None:
    row = session.execute(select(MARKS.c.written_at, MARKS.c.confirmed)).first()
    return None if row is None else _Mark(*row)


def _insert(session: Session, now: datetime) -> Any:
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    return insert(MARKS).values(id=1, written_at=now, confirmed=0)


def _write(session: Session, now: datetime) -> None:
    session.execute(_insert(session, now).on_conflict_do_nothing())
    session.execute(update(MARKS).where(MARKS.c.written_at < now).values(written_at=now))


def _confirm(session: Session, now: datetime) -> None:
    session.execute(_insert(session, now).on_conflict_do_nothing())
    session.execute(update(MARKS).values(written_at=now, confirmed=MARKS.c.confirmed + 1))

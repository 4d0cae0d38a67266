"""The outbox: what a service says is written in the transaction of what it did, and relayed afterwards.

One relay per service (a lease) reads the rows in their order, publishes them and deletes what was
acknowledged. A crash in between publishes again: consumers take repeats.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    LargeBinary,
    String,
    bindparam,
    column,
    delete,
    func,
    select,
    table,
)
from sqlmodel import Session

from services.shared.bus import Bus, BusUnavailable
from services.shared.bus.base import check_size
from services.shared.clock import Clock
from services.shared.database import Database, Document, Moment
from services.shared.database.arrays import many, one_of
from services.shared.database.base import WAKE, Dialect, dialect_of
from services.shared.database.lease import acquire, release
from services.shared.database.ready import Ready
from services.shared.database.rows import RowWriter
from services.shared.errors import DatabaseUnavailable
from services.shared.events import Message
from services.shared.traffic import Pace, Traffic

log = logging.getLogger(__name__)

OUTBOX = table(
    "outbox",
    column("id", BigInteger),
    column("topic", String),
    column("key", String),
    column("headers", Document()),
    column("value", LargeBinary),
    column("written_at", Moment),
)
_WRITER = RowWriter(OUTBOX, "topic", "key", "headers", "value", "written_at")

_LEASE = timedelta(seconds=10)
_RENEW = 3.0
_IDLE = 0.5
_AWAY = 1.0


def put(session: Session, messages: Sequence[Message], written_at: datetime) -> None:
    """Write messages to the outbox, in order, as part of the session's transaction.

    Raises `MessageTooLarge`: such a message would stop all that come behind it.
    """
    if not messages:
        return
    check_size(messages)
    _WRITER.write(
        session,
        [(one.topic, one.key, one.headers, one.value, written_at) for one in messages],
    )
    session.info[WAKE] = True


class OutboxState(NamedTuple):
    """How many messages wait (an upper bound, cheap to ask), and since when the oldest does."""

    depth: int
    oldest: datetime | None


def state(session: Session) -> OutboxState:
    """The state of the outbox, from both ends of its index."""
    # each on its own: SQLite finds one end by the index, but reads every row for both at once
    lowest = select(func.min(OUTBOX.c.id)).scalar_subquery()
    highest = select(func.max(OUTBOX.c.id)).scalar_subquery()
    low, high = session.execute(select(lowest, highest)).one()
    if low is None:
        return OutboxState(0, None)
    oldest = session.execute(select(OUTBOX.c.written_at).where(OUTBOX.c.id == low)).scalar()
    return OutboxState(int(high - low + 1), oldest)


class Relay:
    """Moves a service's outbox to the log."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        clock: Clock,
        *,
        holder: str,
        batch: int = 1000,
        traffic: Traffic | None = None,
    ) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._holder = holder
        self._pace = Pace(traffic or Traffic(clock), clock, most=batch)
        self._wake = asyncio.Event()
        self._renewed = float("-inf")
        self.published = 0
        database.on_commit(self._wake.set)

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until `stop` is set; then give the lease back."""
        while not stop.is_set():
            began = await self._pace.enter()
            try:
                moved = await self.step()
            except (BusUnavailable, DatabaseUnavailable) as error:
                log.warning("relay waits: %s", type(error).__name__)
                await self._clock.wait(stop, _AWAY)
                continue
            await self._pace.leave(began, moved)
            if moved == 0:
                await self._clock.wait(self._wake, _IDLE)
        self._renewed = float("-inf")
        with contextlib.suppress(DatabaseUnavailable):  # then it runs out by itself
            await self._database.transaction(lambda s: release(s, "relay", self._holder))

    def wake(self) -> None:
        """Look at once, also when told to stop."""
        self._wake.set()

    async def step(self) -> int:
        """Relay one batch; how many messages it was. 0 also when another process has the lease."""
        self._wake.clear()
        if not await self._has_lease():
            return 0
        rows = await self._database.read(self._oldest)
        if not rows:
            return 0
        await self._bus.publish([_message(*row) for _, *row in rows])
        ids = [id_ for id_, *_ in rows]
        await self._database.transaction(lambda s: _forget(s, ids))
        self.published += len(rows)
        return len(rows)

    async def _has_lease(self) -> bool:
        if self._clock.monotonic() - self._renewed < _RENEW:
            return True
        ours = await self._database.transaction(
            lambda s: acquire(s, "relay", self._holder, _LEASE, self._clock)
        )
        self._renewed = self._clock.monotonic() if ours else float("-inf")
        return ours

    def _oldest(self, session: Session) -> Sequence[tuple[Any, ...]]:
        return _reading(dialect_of(session)).rows(session, {"most": self._pace.limit})


@cache
def _reading(_dialect: Dialect) -> Ready:
    kept = select(*[OUTBOX.c[name] for name in ("id", *Message._fields)])
    return Ready(kept.order_by(OUTBOX.c.id).limit(bindparam("most")))


@cache
def _forgetting(dialect: Dialect) -> Ready:
    return Ready(delete(OUTBOX).where(one_of(dialect, OUTBOX.c.id, "ids")))


def _forget(session: Session, ids: Sequence[int]) -> None:
    dialect = dialect_of(session)
    _forgetting(dialect).run(session, {"ids": many(dialect, ids)})


def _message(topic: str, key: str, headers: Sequence[Sequence[str]], value: bytes) -> Message:
    return Message(topic, key, tuple([(name, text) for name, text in headers]), value)

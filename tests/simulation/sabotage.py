"""Mistakes that the simulation must find: each takes one of the product's promises away."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session

from services.push.deliveries.repository import LEDGER
from services.push.deliveries.service import Ledger, Turn
from services.shared.bus import Partition
from services.shared.events import Message
from services.shared.outbox import OUTBOX, Relay, _message
from services.shared.runner.positions import POSITIONS


def move_blindly(
    session: Session, consumer: str, partition: Partition, expected: int | None, to: int
) -> None:
    """`positions.move` without its compare-and-set: whoever comes writes."""
    line: Any = insert(POSITIONS).values(
        consumer=consumer, topic=partition.topic, partition=partition.number, next=to
    )
    session.execute(
        line.on_conflict_do_update(
            index_elements=["consumer", "topic", "partition"], set_={"next": to}
        )
    )


def send_again(self: Ledger, session: Session, most: int = 500) -> Turn:
    """`Ledger.reap` that believes a message whose dispatcher died not to be sent."""
    session.execute(
        update(LEDGER)
        .where(LEDGER.c.state.in_(("claimed", "sending")), LEDGER.c.lease_until < self._clock.now())
        .values(state="planned", claim_token=None)
    )
    return Turn()


class HastyRelay(Relay):
    """Deletes from the outbox before the log has acknowledged."""

    async def step(self) -> int:
        self._wake.clear()
        if not await self._has_lease():
            return 0

        def take(session: Session) -> Sequence[Any]:
            rows = self._oldest(session)
            session.execute(delete(OUTBOX).where(OUTBOX.c.id.in_([id_ for id_, *_ in rows])))
            return rows

        rows = await self._database.transaction(take)
        if rows:
            await self._bus.publish([_message(*row) for _, *row in rows])
        return len(rows)


class UnsortedRelay(Relay):
    """Takes the newest first."""

    def _oldest(self, session: Session) -> Sequence[Any]:
        kept = select(*[OUTBOX.c[name] for name in ("id", *Message._fields)])
        newest = kept.order_by(OUTBOX.c.id.desc()).limit(self._pace.limit)
        return [tuple(row) for row in session.execute(newest)]

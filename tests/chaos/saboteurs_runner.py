"""Saboteurs of consumers: what must not happen to records that fail (R11) or that are read again (R10)."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import delete, select
from sqlmodel import Session

from services.metrics.funnel.counting import Counting
from services.metrics.funnel.stages import Raw
from services.push.deliveries.planning import Wish
from services.push.reach import rebuilding
from services.push.reach.repository import SUPPRESSIONS
from services.push.requests import handlers as requests
from services.shared.bus import Batch
from services.shared.errors import DatabaseUnavailable
from services.shared.events.push import PushRequested
from services.shared.runner import parked, positions
from services.shared.runner.consumer import ConsumerRunner
from tests.chaos.pieces import replace


def poison_blocks() -> None:
    """A record that fails is tried for ever."""

    async def stubborn(runner: ConsumerRunner, single: Batch, stop: asyncio.Event) -> None:
        while await runner._attempt(lambda s: runner._apply(s, single), stop) is not None:
            await runner._clock.wait(stop, 0.2)
        runner._done(single.partition, single.next, 1)

    replace(ConsumerRunner, "_handle_alone", stubborn)


def poison_skipped() -> None:
    """A record that fails is left out."""

    def hasty(runner: ConsumerRunner, session: Session, single: Batch, reason: str | None) -> None:
        expected = runner._at.get(single.partition)
        positions.move(session, runner.spec.name, single.partition, expected, single.next)

    replace(ConsumerRunner, "_park", hasty)


def overtaken() -> None:
    """What comes later under the key of a parked record is handled at once."""

    def hasty(
        _session: Session, _consumer: str, _topic: str, _keys: Sequence[str]
    ) -> frozenset[str]:
        return frozenset()

    replace(parked, "parked_keys", hasty)


def outage_blamed() -> None:
    """A database that is away counts as a record that fails."""
    careful = ConsumerRunner._attempt

    async def hasty(
        runner: ConsumerRunner, work: Callable[[Session], None], stop: asyncio.Event
    ) -> str | None:
        try:
            await runner._database.transaction(work)
        except DatabaseUnavailable as away:
            return type(away).__name__
        except Exception:  # noqa: BLE001  # what the careful one makes of it
            return await careful(runner, work, stop)
        return None

    replace(ConsumerRunner, "_attempt", hasty)


def replayed_backwards() -> None:
    """Parked records are handled again, the last first."""

    async def hasty(runner: ConsumerRunner) -> tuple[int, int]:
        def newest(session: Session) -> list[int]:
            column = parked.PARKED.c
            wanted = select(column.id).where(column.consumer == runner.spec.name)
            return list(session.execute(wanted.order_by(column.id.desc())).scalars())

        ids = await runner._database.read(newest)
        handled = 0
        for number in ids:
            row = await runner._database.read(
                lambda s, n=number: s.execute(  # type: ignore[misc]
                    select(parked.PARKED).where(parked.PARKED.c.id == n)
                ).one()
            )
            handled += await runner._replay_one(number, parked._record(row))
        return handled, len(ids) - handled

    replace(ConsumerRunner, "replay", hasty)


POISON: dict[str, Callable[[], None]] = {
    "poison-blocks": poison_blocks,
    "poison-skipped": poison_skipped,
    "overtaken": overtaken,
    "outage-blamed": outage_blamed,
    "replayed-backwards": replayed_backwards,
}


def deaf_reset() -> None:
    """The command says that positions were set back, and leaves them."""

    def hasty(_session: Session, consumer: str, topics: Sequence[str]) -> None:
        assert consumer
        assert topics

    replace(positions, "forget", hasty)


def requests_anew() -> None:
    """A request for a bait mail that is read again is another message."""
    careful = requests._wish

    def hasty(event: PushRequested, asked_at: datetime, now: datetime, **changes: Any) -> Wish:
        other = dataclasses.replace(
            careful(event, asked_at, now, **changes), cause_id=f"{event.cause.id} {now.isoformat()}"
        )
        return dataclasses.replace(other, bait_id=None)

    replace(requests, "_wish", hasty)


def counted_anew() -> None:
    """An event that metrics reads again is counted again."""
    careful = Counting.record

    def hasty(counting: Counting, session: Session, raws: Sequence[Raw]) -> list[Raw]:
        return careful(counting, session, [raw._replace(id=uuid4()) for raw in raws])

    replace(Counting, "record", hasty)


def list_derived() -> None:
    """The suppression list is made anew with the view of people, as if it could be derived."""
    careful = rebuilding.begin_anew

    def hasty(session: Session, consumer: str) -> int:
        session.execute(delete(SUPPRESSIONS))
        return careful(session, consumer)

    replace(rebuilding, "begin_anew", hasty)


REPEATS: dict[str, Callable[[], None]] = {
    "deaf-reset": deaf_reset,
    "requests-anew": requests_anew,
    "counted-anew": counted_anew,
    "list-derived": list_derived,
}

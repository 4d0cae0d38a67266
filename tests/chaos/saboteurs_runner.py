"""Saboteurs of the consumer runner: what must not happen to records that fail (R11)."""

import asyncio
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlmodel import Session

from services.shared.bus import Batch
from services.shared.errors import DatabaseUnavailable
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

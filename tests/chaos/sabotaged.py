"""The same program with one piece taken out, to show that the checker would see it.

    python -m tests.chaos.sabotaged SABOTEUR run

Nothing in the product knows of this. Each saboteur puts the order of two steps wrong, and leaves a moment
between them, as a slow disk or a busy machine does.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlmodel import Session

from services.__main__ import main as services
from services.capture.leads.service import LeadDesk, Prepared
from services.capture.leads.submission import Accepted, Submission
from services.push.deliveries import repository
from services.push.deliveries.repository import LEDGER, Claimed
from services.shared.bus import Batch
from services.shared.events import decode_each
from services.shared.events.leads import LeadSubmitted
from services.shared.outbox import OUTBOX, Relay
from services.shared.outbox import _message as message_of
from services.shared.runner import positions
from services.shared.runner.consumer import ConsumerRunner
from tests.chaos import (
    between,
    saboteurs_load,
    saboteurs_once,
    saboteurs_push,
    saboteurs_runner,
    saboteurs_upgrade,
)
from tests.chaos.pieces import replace


def answer_before_the_commit() -> None:
    """202 goes out while the lead only waits to be written (promise 1)."""
    pending: set[asyncio.Task[Any]] = set()

    async def hasty(desk: LeadDesk, prepared: Prepared, submission: Submission) -> Accepted:
        async def later() -> None:
            await between.moment()
            await desk._commit.submit(prepared)

        task = asyncio.get_running_loop().create_task(later())
        pending.add(task)
        task.add_done_callback(pending.discard)
        return prepared.accepted

    replace(LeadDesk, "_submit", hasty)


def position_before_the_effects() -> None:
    """A consumer's position is moved in a transaction of its own, before the effects (promise 2)."""

    async def hasty(runner: ConsumerRunner, batch: Batch, stop: asyncio.Event) -> None:
        expected = runner._at.get(batch.partition)
        await runner._database.transaction(
            lambda s: positions.move(s, runner.spec.name, batch.partition, expected, batch.next)
        )
        runner._done(batch.partition, batch.next, len(batch.records))
        events = [received for record in batch.records for received in decode_each(record)]
        leads = any(isinstance(received.event, LeadSubmitted) for received in events)
        await between.moment(leads and runner.spec.name == "profile")
        await runner._database.transaction(lambda s: runner.dispatch(s, events))

    async def apart(_runner: ConsumerRunner, _batches: Any, _stop: asyncio.Event) -> bool:
        return False

    replace(ConsumerRunner, "_together", apart)
    replace(ConsumerRunner, "_divide", hasty)


def outbox_emptied_before_publishing() -> None:
    """The relay deletes what it is going to publish, and publishes it then (promise 2)."""

    async def hasty(relay: Relay) -> int:
        relay._wake.clear()
        if not await relay._has_lease():
            return 0
        rows = await relay._database.read(relay._oldest)
        if not rows:
            return 0
        ids = [id_ for id_, *_ in rows]
        await relay._database.transaction(
            lambda s: s.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))
        )
        messages = [message_of(*row) for _, *row in rows]
        await between.moment(any(message.topic == "leads" for message in messages))
        await relay._bus.publish(messages)
        return len(rows)

    replace(Relay, "step", hasty)


def sent_again_when_in_doubt() -> None:
    """A message that was on the wire at the crash goes back to planned in place of unknown (promise 3)."""
    careful = repository.expired

    def hasty(
        session: Session, now: datetime, most: int
    ) -> tuple[Sequence[Claimed], Sequence[Claimed]]:
        session.execute(
            update(LEDGER)
            .where(LEDGER.c.state == "sending", LEDGER.c.lease_until < now)
            .values(state="claimed")
        )
        return careful(session, now, most)

    replace(repository, "expired", hasty)


SABOTEURS: dict[str, Callable[[], None]] = {
    "early-answer": answer_before_the_commit,
    "early-position": position_before_the_effects,
    "early-delete": outbox_emptied_before_publishing,
    "second-sending": sent_again_when_in_doubt,
    **saboteurs_load.OVERLOAD,
    **saboteurs_once.SABOTEURS,
    **saboteurs_push.LEAVING,
    **saboteurs_push.PAUSES,
    **saboteurs_runner.POISON,
    **saboteurs_runner.REPEATS,
    **saboteurs_upgrade.UPGRADES,
}


def main() -> int:
    """The command."""
    SABOTEURS[sys.argv[1]]()
    return services(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())

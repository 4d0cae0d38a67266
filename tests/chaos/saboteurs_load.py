"""Saboteurs of back-pressure: what must not happen when more comes than can be taken (R18)."""

from collections.abc import Callable

from sqlalchemy import delete

from services.capture.leads.gate import OutboxGate
from services.shared.bus import BusUnavailable
from services.shared.outbox import OUTBOX, Relay
from tests.chaos.pieces import replace


def bound_lifted() -> None:
    """The outbox has no bound."""

    def hasty(_gate: OutboxGate) -> None:
        return

    replace(OutboxGate, "check", hasty)


def spool_dropped() -> None:
    """What the log does not take is thrown away."""
    careful = Relay.step

    async def hasty(relay: Relay) -> int:
        try:
            return await careful(relay)
        except BusUnavailable:
            rows = await relay._database.read(relay._oldest)
            ids = [id_ for id_, *_ in rows]
            await relay._database.transaction(
                lambda s: s.execute(delete(OUTBOX).where(OUTBOX.c.id.in_(ids)))
            )
            return len(rows)

    replace(Relay, "step", hasty)


OVERLOAD: dict[str, Callable[[], None]] = {
    "bound-lifted": bound_lifted,
    "spool-dropped": spool_dropped,
}

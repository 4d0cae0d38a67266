"""Saboteurs of push: pauses that are not kept, and people who are mailed although they left (R3, R17)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session

from services.push.deliveries import halts
from services.push.deliveries.repository import LEDGER
from services.push.policy import service as policy
from services.push.policy.asks import Ask
from services.push.policy.repository import Known
from services.push.reach.freshness import Freshness
from tests.chaos.pieces import replace


def wire_forgotten() -> None:
    """Resuming plans again all that was not settled when the pause came, also what is on the wire."""
    careful = halts.resume

    def hasty(session: Session, campaign_id: UUID, now: datetime) -> None:
        careful(session, campaign_id, now)
        session.execute(
            update(LEDGER)
            .where(LEDGER.c.campaign_id == campaign_id, LEDGER.c.state.in_(["claimed", "sending"]))
            .values(state="planned")
        )

    replace(halts, "resume", hasty)


def pause_unheard() -> None:
    """A pause is noted at the campaign and reaches no dispatcher."""

    def hasty(_session: Session, _campaign_id: UUID, _reason: str, _now: datetime) -> None:
        return

    replace(halts, "pause", hasty)


PAUSES: dict[str, Callable[[], None]] = {
    "wire-forgotten": wire_forgotten,
    "pause-unheard": pause_unheard,
}


def never_too_old() -> None:
    """Push goes on, however old its view of people may be."""

    def hasty(_freshness: Freshness) -> None:
        return

    replace(Freshness, "closed", hasty)


def asked_at_planning() -> None:
    """Whether somebody may be mailed is not asked again when the message is sent."""

    def hasty(_ask: Ask, _person: Known, _suppressed: Mapping[str, datetime]) -> None:
        return

    replace(policy, "_never", hasty)


LEAVING: dict[str, Callable[[], None]] = {
    "never-too-old": never_too_old,
    "asked-at-planning": asked_at_planning,
}

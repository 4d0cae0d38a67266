"""Saboteurs of what becomes of a message (R4, R12): what a ledger must not make of an answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace as changed
from datetime import datetime
from functools import partial
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session

from services.push.channels.base import OutcomeClass, Result
from services.push.channels.email import settings
from services.push.deliveries import repository, service
from services.push.deliveries.repository import LEDGER, Claimed
from services.push.deliveries.states import Chance, Retry, Settled, State, settle
from services.push.policy import caps
from tests.chaos.pieces import replace


def cut_is_refusal() -> None:
    """A connection that broke after the final dot counts as a message that was not taken."""

    def hasty(result: Result, attempt: int, now: datetime, retry: Retry, chance: Chance) -> Settled:
        if result.outcome is OutcomeClass.AMBIGUOUS:
            result = result._replace(outcome=OutcomeClass.RETRY_LATER)
        return settle(result, attempt, now, retry, chance)

    replace(service, "settle", hasty)


def impatient() -> None:
    """Who has not answered to the final dot after two seconds has not taken the message."""
    hasty = partial(settings.Timeouts, command=2.0, dot=2.0)
    settings.Timeouts = hasty  # type: ignore[assignment, misc]
    cut_is_refusal()


def deaf_when_late() -> None:
    """A true result that comes after the lease changes nothing any more."""
    assert repository._ANSWERABLE == (State.SENDING, State.UNKNOWN)
    repository._ANSWERABLE = (State.SENDING,)  # type: ignore[assignment]


def refusal_is_sent() -> None:
    """Whatever the server answers to the final dot, the message counts as sent."""

    def hasty(result: Result, attempt: int, now: datetime, retry: Retry, chance: Chance) -> Settled:
        settled = settle(result, attempt, now, retry, chance)
        if settled.reason in {"permanent_recipient", "gave_up"}:
            return changed(settled, state=State.SENT, reason=None)
        return settled

    replace(service, "settle", hasty)


def no_claim_token() -> None:
    """A dispatcher sends what it once claimed, whoever has it by now."""

    def hasty(
        session: Session, rows: Sequence[Claimed], now: datetime, lease_until: datetime
    ) -> set[tuple[UUID, UUID]]:
        session.execute(
            update(LEDGER)
            .where(LEDGER.c.id.in_([row.id for row in rows]))
            .values(state="sending", lease_until=lease_until, sending_at=now)
        )
        return {(row.id, row.token) for row in rows}

    replace(repository, "mark", hasty)


def no_cap() -> None:
    """Everybody may get any number of messages."""
    replace(caps, "reserve", lambda *_: {})


SABOTEURS: dict[str, Callable[[], None]] = {
    "cut-is-refusal": cut_is_refusal,
    "impatient": impatient,
    "deaf-when-late": deaf_when_late,
    "refusal-is-sent": refusal_is_sent,
    "no-claim-token": no_claim_token,
    "no-cap": no_cap,
}

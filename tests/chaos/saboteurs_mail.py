"""Saboteurs of what becomes of a message (R4, R12): what a ledger must not make of an answer."""

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import datetime

from services.push.channels.base import OutcomeClass, Result
from services.push.deliveries import repository, service
from services.push.deliveries.states import Chance, Retry, Settled, State, settle
from tests.chaos.pieces import replace


def cut_is_refusal() -> None:
    """A connection that broke after the final dot counts as a message that was not taken."""

    def hasty(result: Result, attempt: int, now: datetime, retry: Retry, chance: Chance) -> Settled:
        if result.outcome is OutcomeClass.AMBIGUOUS:
            result = result._replace(outcome=OutcomeClass.RETRY_LATER)
        return settle(result, attempt, now, retry, chance)

    replace(service, "settle", hasty)


def deaf_when_late() -> None:
    """A true result that comes after the lease changes nothing any more."""
    assert repository._ANSWERABLE == ("sending", "unknown")
    repository._ANSWERABLE = ("sending",)  # type: ignore[assignment]


def refusal_is_sent() -> None:
    """Whatever the server answers to the final dot, the message counts as sent."""

    def hasty(result: Result, attempt: int, now: datetime, retry: Retry, chance: Chance) -> Settled:
        settled = settle(result, attempt, now, retry, chance)
        if settled.reason in {"permanent_recipient", "gave_up"}:
            return changed(settled, state=State.SENT, reason=None)
        return settled

    replace(service, "settle", hasty)


SABOTEURS: dict[str, Callable[[], None]] = {
    "cut-is-refusal": cut_is_refusal,
    "deaf-when-late": deaf_when_late,
    "refusal-is-sent": refusal_is_sent,
}

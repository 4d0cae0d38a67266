"""The states of a delivery, the reasons for them, and what an outcome makes of a delivery.

planned → claimed → sending → sent | failed | unknown → delivered | bounced | complained; held returns to
planned; dropped is final.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.push.channels.base import OutcomeClass, Result


class State(StrEnum):
    """Where a delivery stands."""

    PLANNED = "planned"
    HELD = "held"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DROPPED = "dropped"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


WAITING = (State.PLANNED, State.HELD)
TAKEN = (State.CLAIMED, State.SENDING)
OPEN = (*WAITING, *TAKEN)
"""A campaign with one of these is not done."""

Chance = Callable[[], float]
"""A random number from 0 to 1, 1 excluded: a port, so that a simulation can be replayed."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a channel's message is tried again (exponential, full jitter)."""

    attempts: int = 8
    first: timedelta = timedelta(seconds=60)
    longest: timedelta = timedelta(hours=4)
    shortest: timedelta = timedelta(seconds=5)

    def pause(self, attempt: int, chance: Chance) -> timedelta:
        """How long to wait after the failed attempt number `attempt` (from 1)."""
        doubled: int = 2 ** min(attempt - 1, 20)
        most = min(self.longest, self.first * doubled)
        return max(self.shortest, most * chance())


_CONFIG_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a result makes of a delivery. `attempt` counts attempts that were spent."""

    state: State
    reason: str | None
    not_before: datetime | None
    attempt: int


def settle(result: Result, attempt: int, now: datetime, retry: Retry, chance: Chance) -> Settled:
    """The one table of promise 3: outcome class → state. `attempt` were spent before this one."""
    outcome = result.outcome
    if outcome is None:
        return Settled(State.PLANNED, "not_sent", now, attempt)
    if outcome is OutcomeClass.OK:
        return Settled(State.SENT, None, None, attempt + 1)
    if outcome is OutcomeClass.AMBIGUOUS:
        return Settled(State.UNKNOWN, "ambiguous", None, attempt + 1)
    if outcome is OutcomeClass.PERMANENT_RECIPIENT:
        return Settled(State.FAILED, "permanent_recipient", None, attempt + 1)
    if outcome is OutcomeClass.SOFT:
        return Settled(State.FAILED, "soft", None, attempt + 1)
    if outcome is OutcomeClass.SKIP_RECIPIENT:
        return Settled(State.DROPPED, "skipped", None, attempt + 1)
    if outcome is OutcomeClass.PERMANENT_CONFIG:
        return Settled(State.HELD, "configuration", now + _CONFIG_PAUSE, attempt)
    if outcome is OutcomeClass.RATE_LIMITED:
        wait = result.retry_after or retry.pause(attempt + 1, chance)
        return Settled(State.HELD, "rate_limited", now + wait, attempt)
    spent = attempt + 1
    if spent >= retry.attempts:
        return Settled(State.FAILED, "gave_up", None, spent)
    wait = max(result.retry_after or timedelta(0), retry.pause(spent, chance))
    return Settled(State.HELD, "retry", now + wait, spent)

"""The one table from outcome to state, and how long is waited before the next attempt."""

from datetime import UTC, datetime, timedelta

import pytest

from services.push.channels.base import OutcomeClass, Result
from services.push.deliveries.states import Retry, settle
from tests.push.deliveries.rig import profile

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
RETRY = Retry(attempts=3)


def settled(outcome: OutcomeClass | None, attempt: int = 0, **result):
    return settle(
        Result(profile(1), outcome, "x", **result), attempt, NOW, RETRY, chance=lambda: 0.5
    )


@pytest.mark.parametrize(
    ("outcome", "state", "reason", "spent"),
    [
        (OutcomeClass.OK, "sent", None, 1),
        (OutcomeClass.RETRY_LATER, "held", "retry", 1),
        (OutcomeClass.TOKEN_REFRESH, "held", "retry", 1),
        (OutcomeClass.RATE_LIMITED, "held", "rate_limited", 0),
        (OutcomeClass.PERMANENT_RECIPIENT, "failed", "permanent_recipient", 1),
        (OutcomeClass.SOFT, "failed", "soft", 1),
        (OutcomeClass.SKIP_RECIPIENT, "dropped", "skipped", 1),
        (OutcomeClass.PERMANENT_CONFIG, "held", "configuration", 0),
        (OutcomeClass.AMBIGUOUS, "unknown", "ambiguous", 1),
        (None, "planned", "not_sent", 0),
    ],
)
def test_the_table(outcome: OutcomeClass | None, state: str, reason: str | None, spent: int):
    found = settled(outcome)
    assert (found.state, found.reason, found.attempt) == (state, reason, spent)
    assert (found.not_before is not None) == (state in ("held", "planned"))


def test_attempts_are_bounded():
    assert settled(OutcomeClass.RETRY_LATER, attempt=1).state == "held"
    last = settled(OutcomeClass.RETRY_LATER, attempt=2)
    assert (last.state, last.reason, last.attempt) == ("failed", "gave_up", 3)


def test_a_rate_limit_never_spends_an_attempt():
    assert settled(OutcomeClass.RATE_LIMITED, attempt=2).state == "held"


def test_retry_after_is_a_lower_bound():
    hour = timedelta(hours=1)
    assert settled(OutcomeClass.RETRY_LATER, retry_after=hour).not_before == NOW + hour
    assert settled(OutcomeClass.RATE_LIMITED, retry_after=hour).not_before == NOW + hour


def test_pauses_grow_with_jitter_up_to_a_bound():
    retry = Retry()
    pauses = [retry.pause(attempt, lambda: 0.999).total_seconds() for attempt in range(1, 30)]
    assert pauses == sorted(pauses)
    assert 59 < pauses[0] < 60
    assert pauses[-1] <= retry.longest.total_seconds()
    assert retry.pause(5, lambda: 0.0) == retry.shortest

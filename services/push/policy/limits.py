"""S8: limits against mail bombing, per abuse key (the mailbox behind an address).

An address that was never verified gets at most 1 mail in 24 hours and 3 in 90 days, whatever the cause;
a verified one gets one mail per bait in 24 hours.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from services.push.policy import repository
from services.push.policy.asks import Ask, Decision, drop, hold
from services.push.policy.repository import Known, Limit

SHORT = timedelta(hours=24)
LONG = timedelta(days=90)
IN_LONG = 3

Mails = list[tuple[int, datetime, UUID | None]]


def allowed_from(
    mails: Mails, now: datetime, *, verified: bool, bait_id: UUID | None
) -> datetime | None:
    """When a mail may go out that may not now; None: now."""
    if verified:
        same = [at for _, at, bait in mails if bait == bait_id and bait is not None]
        return _later(same, now, SHORT, 1)
    times = [at for _, at, _ in mails]
    waits = (_later(times, now, SHORT, 1), _later(times, now, LONG, IN_LONG))
    return max((wait for wait in waits if wait is not None), default=None)


def _later(
    times: Sequence[datetime], now: datetime, window: timedelta, most: int
) -> datetime | None:
    within = sorted(at for at in times if at > now - window)
    return within[-most] + window if len(within) >= most else None


def reserve(
    session: Session, asks: Sequence[Ask], known: Mapping[UUID, Known], now: datetime
) -> dict[UUID, Decision]:
    """Count the asks that may go out; the refusals of the others.

    Another transaction may count a mail to the same mailbox at the same time: then one of the two
    finds its number taken, and looks again.
    """
    refused: dict[UUID, Decision] = {}
    left = [(ask, key) for ask in asks if (key := ask.abuse_key or known[ask.id].abuse_key)]
    while left:
        counted = repository.mails(session, sorted({key for _, key in left}))
        wanted: dict[UUID, Limit] = {}
        for ask, key in left:
            mails = counted.setdefault(key, [])
            verified = ask.verified or known[ask.id].verified
            later = allowed_from(mails, now, verified=verified, bait_id=ask.bait_id)
            if later is not None:
                kept = ask.cause_kind != "lead"
                refused[ask.id] = hold("mail_limit", later) if kept else drop("mail_limit")
                continue
            number = max((number for number, _, _ in mails), default=0) + 1
            mails.append((number, now, ask.bait_id))
            wanted[ask.id] = Limit(key, number, now, ask.bait_id, ask.id)
        got = repository.reserve_limits(session, list(wanted.values())) if wanted else set()
        left = [(ask, key) for ask, key in left if ask.id in wanted and ask.id not in got]
    return refused

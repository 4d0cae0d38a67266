"""The suppression list: what outcomes, unsubscribes and erasures put on it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Literal

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.channels.base import OutcomeClass
from services.push.reach.models import SoftStreak, Suppression
from services.push.sets import dialect_of
from services.shared.database.base import Dialect
from services.shared.database.ready import Ready

SUPPRESSIONS = Suppression.__table__  # type: ignore[attr-defined]  # what SQLModel adds
STREAKS = SoftStreak.__table__  # type: ignore[attr-defined]  # what SQLModel adds

Reason = Literal["unsubscribed", "hard_bounce", "soft_bounces", "complaint", "blocked", "erased"]

SOFT_IN_A_ROW = 5
SOFT_SPAN = timedelta(days=7)


def suppress(session: Session, contact_keys: Sequence[str], reason: Reason, at: datetime) -> None:
    """Put contacts on the list. One that is on it for that reason keeps the later time."""
    if not contact_keys:
        return
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    statement = insert(SUPPRESSIONS)
    statement = statement.on_conflict_do_update(
        index_elements=["contact_key", "reason"],
        set_={"at": statement.excluded.at},
        where=SUPPRESSIONS.c.at < statement.excluded.at,
    )
    session.execute(
        statement,
        [{"contact_key": key, "reason": reason, "at": at} for key in sorted(set(contact_keys))],
    )


def lift(session: Session, contact_key: str, reason: Reason, before: datetime) -> None:
    """Take a contact off the list if it was put there before that time."""
    session.execute(
        delete(SUPPRESSIONS).where(
            SUPPRESSIONS.c.contact_key == contact_key,
            SUPPRESSIONS.c.reason == reason,
            SUPPRESSIONS.c.at < before,
        )
    )


@cache
def _any_streak(_dialect: Dialect) -> Ready:
    return Ready(select(STREAKS.c.contact_key).limit(1))


def learn(
    session: Session, outcomes: Sequence[tuple[str, OutcomeClass | None]], now: datetime
) -> None:
    """Take outcomes by contact key: a hard one suppresses, soft ones are counted, a success ends the row."""
    hard = [key for key, outcome in outcomes if outcome is OutcomeClass.PERMANENT_RECIPIENT]
    suppress(session, hard, "hard_bounce", now)
    soft = [key for key, outcome in outcomes if outcome is OutcomeClass.SOFT]
    well = [key for key, outcome in outcomes if outcome is OutcomeClass.OK]
    if well and _any_streak(dialect_of(session)).rows(session, {}):
        session.execute(delete(STREAKS).where(STREAKS.c.contact_key.in_(well)))
    for key in soft:
        _count(session, key, now)


def _count(session: Session, contact_key: str, now: datetime) -> None:
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    session.execute(
        insert(STREAKS)
        .values(contact_key=contact_key, count=0, first_at=now, last_at=now)
        .on_conflict_do_nothing()
    )
    session.execute(
        update(STREAKS)
        .where(STREAKS.c.contact_key == contact_key)
        .values(count=STREAKS.c["count"] + 1, last_at=now)
    )
    count, first_at = session.execute(
        select(STREAKS.c["count"], STREAKS.c.first_at).where(STREAKS.c.contact_key == contact_key)
    ).one()
    if count >= SOFT_IN_A_ROW and now - first_at >= SOFT_SPAN:
        suppress(session, [contact_key], "soft_bounces", now)

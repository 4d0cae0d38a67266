"""Messages that the policy holds until an hour are asked anew when its rules have changed meanwhile.

The hour was worked out by the rules of then. Which those were is kept beside the ledger, so that every start
can tell; what other questions hold (a retry, a pause) keeps its hour.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.deliveries.models import standing_in
from services.push.deliveries.repository import LEDGER
from services.push.deliveries.states import WAITING, State
from services.push.policy.models import RulesMark
from services.push.sets import RowSet, dialect_of
from services.shared.database import Moment
from services.shared.database.base import WAKE, Dialect

MARKS = RulesMark.__table__  # type: ignore[attr-defined]  # what SQLModel adds

AT_ONCE = 20_000
_REASONS = ("quiet_hours", "cap_day", "cap_week")
_HELD = (
    standing_in(WAITING, LEDGER.c.state),
    LEDGER.c.state == State.HELD.value,
    LEDGER.c.reason.in_(_REASONS),
)


def held_by_rules(session: Session) -> str | None:
    """The rules by which messages were held last, as `note` was told them."""
    found: str | None = session.execute(select(MARKS.c.rules)).scalar()
    return found


def note(session: Session, rules: str) -> None:
    """These are the rules from now on."""
    insert: Any = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    statement = insert(MARKS).values(id=1, rules=rules)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"rules": rules}))


def held(session: Session, now: datetime) -> Sequence[UUID]:
    """Some of those that the policy holds until after `now`, and has before it.

    All that wait are looked through: not for the loop. What is held since `now` has been asked anew.
    """
    since = LEDGER.c.updated_at < now
    query = select(LEDGER.c.id).where(*_HELD, LEDGER.c.not_before > now, since).limit(AT_ONCE)
    return session.execute(query).scalars().all()


@cache
def _asking(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", id=Uuid())
    now: Any = bindparam("now", type_=Moment())
    before = (LEDGER.c.not_before > now, LEDGER.c.updated_at < now)
    statement = update(LEDGER).where(LEDGER.c.id == given.id, *_HELD, *before)
    return given, statement.values(not_before=now, updated_at=now)


def ask(session: Session, ids: Sequence[UUID], now: datetime) -> None:
    """Let the policy be asked of these again, if it still holds them."""
    given, statement = _asking(dialect_of(session))
    session.execute(statement, given.bind([(id_,) for id_ in ids]) | {"now": now})
    session.info[WAKE] = True

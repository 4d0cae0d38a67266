"""Who gets something more important first: messages of better priority that wait for the same person."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    String,
    Uuid,
    bindparam,
    case,
    column,
    exists,
    false,
    func,
    literal_column,
    select,
    table,
)
from sqlmodel import Session

from services.push.policy.asks import Ask
from services.push.sets import Ready, RowSet, dialect_of
from services.shared.database import Moment
from services.shared.database.base import Dialect

LEDGER = table(
    "deliveries",
    column("cause_kind", String),
    column("cause_id", String),
    column("campaign_id", Uuid),
    column("profile_id", Uuid),
    column("marketing", Boolean),
    column("priority", Integer),
    column("state", String),
    column("not_before", Moment),
)


def _waiting(state: ColumnElement[str]) -> ColumnElement[bool]:
    # written out, so that partial indexes answer it
    return state.in_([literal_column("'planned'"), literal_column("'held'")])


_WAITING = _waiting(LEDGER.c.state)
_OPEN = LEDGER.c.state.in_(
    [literal_column(f"'{state}'") for state in ("planned", "held", "claimed", "sending")]
)
_CAMPAIGN: Any = literal_column("'campaign'")


def outranked(session: Session, asks: Sequence[Ask], day_end: datetime) -> set[tuple[UUID, int]]:
    """(profile, priority) of the asks for whose person something more important is due before `day_end`."""
    dialect = dialect_of(session)
    (row,) = _better_open(dialect).rows(session, {})
    waiting = [number for number in row if number is not None]
    lower = {
        (ask.profile_id, ask.priority)
        for ask in asks
        if waiting and ask.priority > waiting[0] and ask.profile_id is not None
    }
    if not lower:
        return set()
    given, statement = _without_campaign(dialect)
    rows = statement.rows(session, given.bind(list(lower)) | {"day_end": day_end})
    found = set(rows)
    given, statement = _of_campaign(dialect)
    for (cause_id,) in _open_runs(dialect).rows(session, {}):
        left = lower - found
        if not left:
            break
        parameters = given.bind(list(left)) | {"cause": cause_id, "day_end": day_end}
        found.update(statement.rows(session, parameters))
    return found


@cache
def _better_open(_dialect: Dialect) -> Ready:
    waiting = [
        case(
            (
                exists().where(
                    LEDGER.c.marketing,
                    LEDGER.c.priority == number,
                    _WAITING,
                ),
                number,
            )
        )
        for number in range(1, 9)
    ]
    return Ready(select(*waiting))


@cache
def _open_runs(_dialect: Dialect) -> Ready:
    """The runs that have something open: one look at an index for each campaign, however large it is."""
    first = select(LEDGER.c.campaign_id).where(LEDGER.c.campaign_id.is_not(None), _OPEN)
    first = first.order_by(LEDGER.c.campaign_id).limit(1)
    runs = select(first.scalar_subquery().label("campaign_id")).cte("runs", recursive=True)
    after = select(LEDGER.c.campaign_id).where(LEDGER.c.campaign_id > runs.c.campaign_id, _OPEN)
    after = after.order_by(LEDGER.c.campaign_id).limit(1).correlate(runs)
    runs = runs.union_all(select(after.scalar_subquery()).where(runs.c.campaign_id.is_not(None)))
    cause = (
        select(LEDGER.c.cause_id)
        .where(LEDGER.c.campaign_id == runs.c.campaign_id, _OPEN)
        .limit(1)
        .correlate(runs)
    )
    return Ready(select(cause.scalar_subquery()).where(runs.c.campaign_id.is_not(None)))


def _rivals(given: RowSet, *conditions: Any) -> Ready:
    # not a join, and no column of the index of what is due: SQLite would begin with all that waits
    marketing = func.coalesce(LEDGER.c.marketing, false())
    better = exists().where(
        LEDGER.c.profile_id == given.profile_id,
        *conditions,
        marketing,
        LEDGER.c.priority < given.priority,
        LEDGER.c.not_before < bindparam("day_end", type_=Moment()),
    )
    return Ready(select(given.profile_id, given.priority).where(better))


@cache
def _of_campaign(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", profile_id=Uuid(), priority=Integer())
    cause = bindparam("cause", type_=String())
    state = func.coalesce(LEDGER.c.state, literal_column("''"))
    return given, _rivals(
        given,
        LEDGER.c.cause_kind == _CAMPAIGN,
        LEDGER.c.cause_id == cause,
        _waiting(state),
    )


@cache
def _without_campaign(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", profile_id=Uuid(), priority=Integer())
    return given, _rivals(given, LEDGER.c.campaign_id.is_(None), _WAITING)

"""Every query of the waiting engagements."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from services.metrics.bulk import Bulk, Lookup, Query, Removal, among
from services.metrics.tables import columns
from services.metrics.waiting.models import NOT_TRACKED, Waiting

_WAITING: Any = columns(Waiting)

_FIRST_RETRY = timedelta(seconds=2)
_LAST_RETRY = timedelta(minutes=10)


class Waiter(NamedTuple):
    """A row of `waiting_engagements`."""

    id: UUID
    kind: str
    at: datetime
    due: datetime
    delivery_id: UUID | None = None
    contact_key: str | None = None
    profile_id: UUID | None = None
    said: bool = False
    counted: bool = False
    reason: str = ""
    document: dict[str, Any] = {}  # noqa: RUF012  # never changed


_BY_DELIVERY = Lookup(Waiting, Waiter._fields, "delivery_id")
_DUE = Query(
    Waiting,
    Waiter._fields,
    'WHERE "due" <= {} AND "kind" {} ORDER BY "due" LIMIT {}',
    ("due", among("kind"), ""),
)
_REPORTS_DUE = Query(
    Waiting,
    Waiter._fields,
    f'WHERE "due" <= {{}} AND {NOT_TRACKED} ORDER BY "due" LIMIT {{}}',
    ("due", ""),
)
_CROWDED = Query(
    Waiting,
    ("delivery_id",),
    'WHERE "delivery_id" {} AND "kind" = {} GROUP BY "delivery_id" HAVING count(*) > 1',
    (among("delivery_id"), "kind"),
)
_REMOVAL = Removal(Waiting, "id")
_ADD = Bulk(Waiting, Waiter._fields)
_ADD_ONCE = Bulk(Waiting, Waiter._fields, lambda statement: statement.on_conflict_do_nothing())


def add(session: Session, waiters: Sequence[Waiter]) -> None:
    _ADD.write(session, waiters)


def add_once(session: Session, waiters: Sequence[Waiter]) -> None:
    """Add those whose id is not there yet."""
    _ADD_ONCE.write(session, waiters)


def due(session: Session, kinds: Collection[str], now: datetime, limit: int) -> list[Waiter]:
    """The oldest that are due; other processes get others."""
    rows = _DUE.rows(session, now, sorted(kinds), limit, locked="FOR UPDATE SKIP LOCKED")
    return [Waiter._make(row) for row in rows]


def reports_due(session: Session, now: datetime, limit: int) -> list[Waiter]:
    """The same of all that is neither a click nor an open."""
    rows = _REPORTS_DUE.rows(session, now, limit, locked="FOR UPDATE SKIP LOCKED")
    return [Waiter._make(row) for row in rows]


def of_deliveries(session: Session, kind: str, ids: Collection[UUID]) -> list[Waiter]:
    """What of a kind waits for these deliveries."""
    rows = map(Waiter._make, _BY_DELIVERY.rows(session, ids))
    return [waiter for waiter in rows if waiter.kind == kind]


def crowded(session: Session, kind: str, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these deliveries for which more than one of a kind waits."""
    return [delivery for (delivery,) in _CROWDED.rows(session, ids, kind)]


def with_ids(session: Session, ids: Sequence[UUID]) -> set[UUID]:
    """Those of `ids` that wait."""
    return set(session.execute(select(_WAITING.id).where(_WAITING.id.in_(ids))).scalars())


def remove(session: Session, ids: Sequence[UUID]) -> None:
    _REMOVAL.run(session, ids)


def postpone(session: Session, waiters: Sequence[Waiter], now: datetime) -> None:
    """Look again later: the longer it waits, the rarer."""
    for waiter in waiters:
        pause = min(max(now - waiter.at, _FIRST_RETRY), _LAST_RETRY)
        session.execute(update(Waiting).where(_WAITING.id == waiter.id).values(due=now + pause))


def keep_counted(session: Session, waiter: Waiter, until: datetime) -> None:
    """It is counted as unattributed: it waits for its person."""
    session.execute(
        update(Waiting).where(_WAITING.id == waiter.id).values(counted=True, said=True, due=until)
    )


def nudge(
    session: Session,
    now: datetime,
    *,
    deliveries: Collection[UUID] = (),
    contact_keys: Collection[str] = (),
    profiles: Collection[UUID] = (),
) -> None:
    """Something became known: make due what waited for it."""
    # those that are due within moments are left alone: a click's window has to close
    soon = now + _FIRST_RETRY - timedelta(milliseconds=1)
    if session.execute(select(_WAITING.id).where(_WAITING.due > soon).limit(1)).first() is None:
        return  # as good as always
    conditions: list[ColumnElement[bool]] = []
    if deliveries:
        conditions.append(_WAITING.delivery_id.in_(list(deliveries)))
    if contact_keys:
        conditions.append(_WAITING.contact_key.in_(list(contact_keys)))
    if profiles:
        conditions.append(_WAITING.profile_id.in_(list(profiles)))
    for condition in conditions:
        session.execute(update(Waiting).where(condition, _WAITING.due > soon).values(due=now))


def forget_people(session: Session, profile_id: UUID, contact_keys: Sequence[str]) -> None:
    """Take an erased person out of what waits."""
    session.execute(
        update(Waiting)
        .where(or_(_WAITING.contact_key.in_(contact_keys), _WAITING.profile_id == profile_id))
        .values(contact_key=None, profile_id=None)
    )


class WaitingState(NamedTuple):
    """How many engagements wait, and since when the oldest does."""

    uncounted: int
    unattributed: int
    oldest: datetime | None


def state(session: Session) -> WaitingState:
    """What an operator wants to know of it."""
    found = {False: (0, None), True: (0, None)}
    rows = session.execute(
        select(_WAITING.counted, func.count(), func.min(_WAITING.at)).group_by(_WAITING.counted)
    )
    for counted, number, oldest in rows:
        found[bool(counted)] = (number, oldest)
    return WaitingState(found[False][0], found[True][0], found[False][1])


def make_due(session: Session, ids: Sequence[UUID], now: datetime) -> None:
    """What these waited for is there."""
    session.execute(update(Waiting).where(_WAITING.id.in_(ids), _WAITING.due > now).values(due=now))

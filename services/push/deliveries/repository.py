"""Every query of the ledger: set-based, each state changed only by compare-and-set on state and token."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
    update,
)
from sqlmodel import Session

from services.push.deliveries.halts import HALTS
from services.push.deliveries.models import Delivery, DeliveryTrace, standing_in
from services.push.deliveries.states import OPEN, TAKEN, WAITING, State
from services.push.sets import PairSet, RowSet, dialect_of
from services.shared.database import Document, Moment
from services.shared.database.base import Dialect
from services.shared.database.ready import Ready
from services.shared.events.parts import CauseKind

LEDGER = Delivery.__table__  # type: ignore[attr-defined]  # what SQLModel adds
TRACE = DeliveryTrace.__table__  # type: ignore[attr-defined]  # what SQLModel adds

_CLAIMED = (State.CLAIMED,)
_SENDING = (State.SENDING,)
_ANSWERABLE = (State.SENDING, State.UNKNOWN)
_FINAL = (State.SENT, State.FAILED, State.DROPPED)


class Claimed(NamedTuple):
    """A delivery as its claim read it. It is ours while its row has `token`."""

    token: UUID
    id: UUID
    cause_kind: CauseKind
    cause_id: str
    campaign_id: UUID | None
    bait_id: UUID | None
    profile_id: UUID | None
    contact_key: str
    abuse_key: str | None
    channel: str
    address: str | None
    template_version_id: UUID | None
    built_in: str | None
    vals: dict[str, Any]
    language: str
    marketing: bool
    capped: bool
    priority: int
    verified: bool
    reason: str | None
    attempt: int
    expires_at: datetime | None
    created_at: datetime


_READ = tuple(name for name in Claimed._fields if name != "token")


class Change(NamedTuple):
    """What a row becomes."""

    id: UUID
    token: UUID
    state: str
    reason: str | None = None
    code: str | None = None
    provider_id: str | None = None
    not_before: datetime | None = None
    attempt: int = 0


class Step(NamedTuple):
    """A line of a delivery's trace."""

    delivery_id: UUID
    state: str
    reason: str | None
    code: str | None
    detail: str | None
    attempt: int
    until: datetime | None


@cache
def _due(dialect: Dialect) -> Ready:
    halted = select(HALTS.c.campaign_id).where(HALTS.c.state != "resuming")
    statement = (
        select(*[LEDGER.c[name] for name in _READ])
        .where(
            LEDGER.c.marketing == bindparam("marketing"),
            LEDGER.c.priority == bindparam("priority"),
            LEDGER.c.channel == bindparam("channel"),
            standing_in(WAITING, LEDGER.c.state),
            LEDGER.c.not_before <= bindparam("now", type_=Moment()),
            or_(LEDGER.c.campaign_id.is_(None), LEDGER.c.campaign_id.not_in(halted)),
        )
        .order_by(LEDGER.c.not_before)
        .limit(bindparam("most"))
    )
    if _locks(dialect):
        statement = statement.with_for_update(skip_locked=True, of=LEDGER)
    return Ready(statement)


def _locks(dialect: Dialect) -> bool:
    return dialect == "postgresql"


class Wanted(NamedTuple):
    """Which rows a claim is for."""

    channel: str
    marketing: bool
    priority: int
    most: int


def claim(
    session: Session, wanted: Wanted, token: UUID, now: datetime, lease_until: datetime
) -> list[Claimed]:
    """Take due rows: planned or held → claimed."""
    dialect = dialect_of(session)
    found = _due(dialect).rows(session, {**wanted._asdict(), "now": now})
    if not found:
        return []
    rows = [Claimed._make((token, *row)) for row in found]
    given, statement = _claiming(dialect)
    parameters = given.bind([(row.id,) for row in rows])
    statement.run(session, parameters | {"token": token, "new_lease": lease_until, "at": now})
    return rows


@cache
def _claiming(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", id=Uuid())
    statement = (
        update(LEDGER)
        .where(LEDGER.c.id == given.id)
        .values(
            state=State.CLAIMED.value,
            claim_token=bindparam("token", type_=Uuid()),
            lease_until=bindparam("new_lease", type_=Moment()),
            updated_at=bindparam("at", type_=Moment()),
        )
    )
    return given, Ready(statement)


def _stands_in(states: tuple[State, ...]) -> ColumnElement[bool]:
    """Whether a row that is found by its id stands in one of `states`.

    Not written so that an index answers it: PostgreSQL would read all that was ever taken out of the partial
    one, which no vacuum can clear away as quickly as a campaign fills it.
    """
    return standing_in(states, func.coalesce(LEDGER.c.state, literal_column("''")))


@cache
def _stepping(
    dialect: Dialect, before: tuple[State, ...], after: State | None
) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", id=Uuid())
    values: dict[str, Any] = {"lease_until": bindparam("new_lease", type_=Moment())}
    if after is not None:
        values |= {"state": after.value, "updated_at": bindparam("at", type_=Moment())}
    if after == State.SENDING:
        values["sending_at"] = bindparam("at", type_=Moment())
    if after == State.PLANNED:
        values["claim_token"] = null()
    statement = (
        update(LEDGER)
        .where(
            LEDGER.c.id == given.id,
            LEDGER.c.claim_token == bindparam("token", type_=Uuid()),
            _stands_in(before),
        )
        .values(**values)
        .returning(LEDGER.c.id)
    )
    return given, Ready(statement)


def _step(
    session: Session,
    rows: Sequence[Claimed],
    change: tuple[tuple[State, ...], State | None],
    now: datetime,
    lease_until: datetime | None,
) -> set[tuple[UUID, UUID]]:
    """Move rows that are ours, each claim's with one statement, in the order in which they are given."""
    before, after = change
    given, statement = _stepping(dialect_of(session), before, after)
    parameters: dict[str, Any] = {"new_lease": lease_until}
    if after is not None:
        parameters["at"] = now
    by_token: dict[UUID, list[tuple[UUID]]] = {}
    for row in rows:
        by_token.setdefault(row.token, []).append((row.id,))
    moved: set[tuple[UUID, UUID]] = set()
    for token, ids in by_token.items():
        found = statement.rows(session, parameters | given.bind(ids) | {"token": token})
        moved.update([(id_, token) for (id_,) in found])
    return moved


def mark(
    session: Session, rows: Sequence[Claimed], now: datetime, lease_until: datetime
) -> set[tuple[UUID, UUID]]:
    """claimed → sending, of the rows that are still ours: their (id, token).

    The token is part of the answer: a dispatcher that slept may hold an old copy of a row beside the one
    that it has claimed anew.
    """
    return _step(session, rows, (_CLAIMED, State.SENDING), now, lease_until)


def unmark(
    session: Session, rows: Sequence[Claimed], now: datetime, lease_until: datetime
) -> set[tuple[UUID, UUID]]:
    """sending → claimed, of rows that are ours and that no connection has seen: their (id, token)."""
    return _step(session, rows, (_SENDING, State.CLAIMED), now, lease_until)


def release(session: Session, rows: Sequence[Claimed], now: datetime) -> None:
    """claimed → planned: somebody else, or we later, may take them."""
    _step(session, rows, (_CLAIMED, State.PLANNED), now, None)


def renew(session: Session, rows: Sequence[Claimed], lease_until: datetime) -> None:
    """Keep rows that are ours."""
    _step(session, rows, (TAKEN, None), lease_until, lease_until)


@cache
def _changing(dialect: Dialect, before: tuple[State, ...], after: str) -> tuple[PairSet, Ready]:
    given = PairSet(dialect, "given", "id", "provider_id", String())
    values: dict[str, Any] = {
        name: bindparam(f"new_{name}", type_=LEDGER.c[name].type)
        for name in ("reason", "code", "not_before", "attempt")
    }
    if after != State.UNKNOWN:
        # a true result may still come for an unknown one
        values["claim_token"] = null()
    if after in _FINAL:
        # what is over needs no address and no personal link any more
        values |= {"address": null(), "vals": type_coerce({}, Document())}
    statement = (
        update(LEDGER)
        .where(
            LEDGER.c.id == given.id,
            LEDGER.c.claim_token == bindparam("token", type_=Uuid()),
            _stands_in(before),
        )
        .values(
            state=after,
            provider_id=given.provider_id,
            lease_until=null(),
            updated_at=bindparam("at", type_=Moment()),
            **values,
        )
        .returning(LEDGER.c.id)
    )
    return given, Ready(statement)


def answer(session: Session, changes: Sequence[Change], now: datetime) -> set[UUID]:
    """Write what became of rows that are sending (or unknown, for a late answer): the ids that were ours."""
    return _change(session, changes, _ANSWERABLE, now)


def refuse(session: Session, changes: Sequence[Change], now: datetime) -> set[UUID]:
    """Write what the policy, a halt or a missing content made of claimed or just marked rows."""
    return _change(session, changes, TAKEN, now)


def _change(
    session: Session, changes: Sequence[Change], before: tuple[State, ...], now: datetime
) -> set[UUID]:
    """Those of one claim that end alike are written by one statement."""
    alike: dict[tuple[Any, ...], list[tuple[UUID, str | None]]] = {}
    for id_, token, state, reason, code, provider_id, not_before, attempt in changes:
        key = (token, state, reason, code, not_before, attempt)
        alike.setdefault(key, []).append((id_, provider_id))
    dialect = dialect_of(session)
    moved: set[UUID] = set()
    for (token, state, reason, code, not_before, attempt), rows in alike.items():
        given, statement = _changing(dialect, before, state)
        parameters = given.bind(rows) | {
            "token": token,
            "new_reason": reason,
            "new_code": code,
            "new_not_before": not_before,
            "new_attempt": attempt,
            "at": now,
        }
        moved.update([id_ for (id_,) in statement.rows(session, parameters)])
    return moved


@cache
def _expired(dialect: Dialect) -> Any:
    statement = (
        select(LEDGER.c.state, LEDGER.c.claim_token, *[LEDGER.c[name] for name in _READ])
        .where(
            standing_in(TAKEN, LEDGER.c.state),
            LEDGER.c.lease_until < bindparam("now", type_=Moment()),
        )
        .limit(bindparam("most"))
    )
    return statement.with_for_update(skip_locked=True, of=LEDGER) if _locks(dialect) else statement


def expired(session: Session, now: datetime, most: int) -> tuple[list[Claimed], list[Claimed]]:
    """Rows whose lease is over: (claimed, sending)."""
    claimed: list[Claimed] = []
    sending: list[Claimed] = []
    for state, token, *row in session.execute(
        _expired(dialect_of(session)), {"now": now, "most": most}
    ):
        (claimed if state == State.CLAIMED else sending).append(Claimed(token, *row))
    return claimed, sending


def abandon(session: Session, now: datetime) -> None:
    """End every lease at once: whoever held them is gone, as this is the only process."""
    session.execute(
        update(LEDGER)
        .where(standing_in(TAKEN, LEDGER.c.state))
        .values(lease_until=now - timedelta(seconds=1))
    )


def of_campaign(
    session: Session, campaign_id: UUID, after: UUID | None, most: int
) -> list[tuple[Claimed, str]]:
    """The next rows of a campaign by id with their states, to be moved by a halt."""
    rows = select(LEDGER.c.state, *[LEDGER.c[name] for name in _READ]).where(
        LEDGER.c.campaign_id == campaign_id
    )
    if after is not None:
        rows = rows.where(LEDGER.c.id > after)
    rows = rows.order_by(LEDGER.c.id).limit(most)
    none = UUID(int=0)
    return [(Claimed(none, *row), state) for state, *row in session.execute(rows)]


@cache
def _shifting(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(
        dialect, "given", id=Uuid(), state=String(), reason=String(), not_before=Moment()
    )
    dropped = given.state == State.DROPPED.value
    statement = (
        update(LEDGER)
        .where(LEDGER.c.id == given.id, standing_in(WAITING, LEDGER.c.state))
        .values(
            state=given.state,
            reason=given.reason,
            not_before=given.not_before,
            address=case((dropped, null()), else_=LEDGER.c.address),
            updated_at=bindparam("at", type_=Moment()),
        )
        .returning(LEDGER.c.id)
    )
    return given, statement


def shift(
    session: Session,
    rows: Sequence[tuple[UUID, str, str | None, datetime | None]],
    now: datetime,
) -> set[UUID]:
    """Move waiting rows to (state, reason, not before): the ids of those that were still waiting."""
    if not rows:
        return set()
    given, statement = _shifting(dialect_of(session))
    return set(session.execute(statement, given.bind(rows) | {"at": now}).scalars())


def add_trace(session: Session, steps: Sequence[Step], now: datetime) -> None:
    """Write lines of the trace."""
    if steps:
        session.execute(insert(TRACE), [{**step._asdict(), "at": now} for step in steps])


def find(session: Session, delivery_id: UUID) -> Any | None:
    """A row of the ledger, whole."""
    return session.execute(select(LEDGER).where(LEDGER.c.id == delivery_id)).one_or_none()


def trace(session: Session, delivery_id: UUID) -> Sequence[Any]:
    """The lines of a delivery's trace, oldest first."""
    return session.execute(
        select(TRACE).where(TRACE.c.delivery_id == delivery_id).order_by(TRACE.c.id)
    ).all()


def resend(session: Session, delivery_id: UUID, now: datetime) -> bool:
    """unknown → planned, because an operator says so; False when it is not unknown."""
    result = session.execute(
        update(LEDGER)
        .where(LEDGER.c.id == delivery_id, standing_in((State.UNKNOWN,), LEDGER.c.state))
        .values(
            state=State.PLANNED.value,
            reason="resend",
            claim_token=None,
            not_before=now,
            updated_at=now,
        )
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def counts(session: Session, campaign_id: UUID) -> dict[tuple[str, str | None], int]:
    """How many deliveries of a campaign stand where, by (state, reason). Long for a large one: `scan`."""
    rows = session.execute(
        select(LEDGER.c.state, LEDGER.c.reason, func.count())
        .where(LEDGER.c.campaign_id == campaign_id)
        .group_by(LEDGER.c.state, LEDGER.c.reason)
    )
    return {(state, reason): number for state, reason, number in rows}


def has_open(session: Session, campaign_id: UUID) -> bool:
    """Whether a campaign still has a row that is planned, claimed, sending or held."""
    row = session.execute(
        select(LEDGER.c.id)
        .where(
            LEDGER.c.campaign_id == campaign_id,
            standing_in(OPEN, LEDGER.c.state),
        )
        .limit(1)
    ).first()
    return row is not None


def open_states(session: Session) -> dict[tuple[str, str], int]:
    """How many deliveries are open or unknown, by (channel, state)."""
    found: dict[tuple[str, str], int] = {}
    for states in (WAITING, TAKEN, (State.UNKNOWN,)):
        rows = session.execute(
            select(LEDGER.c.channel, LEDGER.c.state, func.count())
            .where(standing_in(states, LEDGER.c.state))
            .group_by(LEDGER.c.channel, LEDGER.c.state)
        )
        found |= {(channel, state): number for channel, state, number in rows}
    return found


def oldest_due(session: Session, now: datetime) -> dict[str, datetime]:
    """Since when the oldest message that may go out waits, by channel."""
    rows = session.execute(
        select(LEDGER.c.channel, func.min(LEDGER.c.not_before, type_=Moment()))
        .where(
            and_(
                standing_in(WAITING, LEDGER.c.state),
                LEDGER.c.not_before <= now,
            )
        )
        .group_by(LEDGER.c.channel)
    )
    return {row[0]: row[1] for row in rows}


def planned_for(session: Session, delivery_id: UUID) -> tuple[str, datetime] | None:
    """The contact key of a delivery, and when it was planned; None when there is no such delivery."""
    row = session.execute(
        select(LEDGER.c.contact_key, LEDGER.c.created_at).where(LEDGER.c.id == delivery_id)
    ).first()
    return None if row is None else (row.contact_key, row.created_at)


def scrub(session: Session, contact_keys: Sequence[str]) -> None:
    """Take the addresses of erased contacts out of the ledger."""
    session.execute(
        update(LEDGER)
        .where(LEDGER.c.contact_key.in_(contact_keys), LEDGER.c.address.is_not(None))
        .values(address=None, vals={})
    )

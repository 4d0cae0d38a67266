"""Every query of raw events, firsts, totals and names."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, literal, select, tuple_, update
from sqlmodel import Session

from services.metrics.bulk import Bulk, Lookup, Query, among
from services.metrics.funnel.models import First, Name, RawEvent, Total
from services.metrics.funnel.stages import Raw
from services.metrics.tables import columns, upsert

_FIRST: Any = columns(First)
_NAME: Any = columns(Name)
_RAW: Any = columns(RawEvent)
_TOTAL: Any = columns(Total)

_CELL = ("day", "stage", "channel", "bait", "campaign", "part")
_SUMS = ("number", "subjects", "amount")


def _earlier(statement: Any) -> Any:
    return statement.on_conflict_do_update(
        index_elements=["subject", "stage"], set_={"at": statement.excluded.at}
    )


def _summed(statement: Any) -> Any:
    added = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(_CELL), set_={name: _TOTAL[name] + added[name] for name in _SUMS}
    )


_ADD_EVENTS = Bulk(RawEvent, Raw._fields)
_PUT_FIRSTS = Bulk(First, ("subject", "stage", "at"), _earlier)
_ADD_TOTALS = Bulk(Total, (*_CELL, *_SUMS), _summed)
_KNOWN_EVENTS = Lookup(RawEvent, ("id",), "id")
_CLICKS_SINCE = Query(
    RawEvent,
    Raw._fields,
    """WHERE "subject" {} AND "kind" = 'engagement.clicked' AND "occurred_at" >= {}""",
    (among("subject"), "occurred_at"),
)
_FIRSTS_OF = Lookup(First, ("subject", "stage", "at"), "subject")

FirstKey = tuple[UUID, str]
Cell = tuple[str, str, str, str, str, str]
"""Day, stage, channel, bait, campaign, part: the key of a total."""

_COLUMNS = tuple(getattr(RawEvent, name) for name in Raw._fields)


def known_events(session: Session, ids: Sequence[UUID]) -> set[UUID]:
    """Those of `ids` that are in the raw table."""
    return {id_ for (id_,) in _KNOWN_EVENTS.rows(session, ids)}


def add_events(session: Session, raws: Sequence[Raw]) -> None:
    _ADD_EVENTS.write(session, raws)


def events(session: Session, ids: Iterable[UUID]) -> list[Raw]:
    """Raw events by id; those that are not there are left out."""
    rows = session.execute(select(*_COLUMNS).where(_RAW.id.in_(list(ids))))
    return [Raw._make(row) for row in rows]


def replace_event(session: Session, raw: Raw) -> None:
    """Write a raw event's new reading (its class, its credit) over the old one."""
    values = raw._asdict()
    session.execute(update(RawEvent).where(_RAW.id == values.pop("id")).values(values))


def clicks_since(session: Session, deliveries: Sequence[UUID], since: datetime) -> list[Raw]:
    """The counted clicks of these deliveries from a moment on."""
    return [Raw._make(row) for row in _CLICKS_SINCE.rows(session, deliveries, since)]


def in_order_of_id(session: Session, chunk: int) -> Iterator[list[Raw]]:
    """All raw events, in pieces."""
    after: UUID | None = None
    while True:
        query = select(*_COLUMNS).order_by(_RAW.id).limit(chunk)
        if after is not None:
            query = query.where(_RAW.id > after)
        raws = [Raw._make(row) for row in session.execute(query)]
        if not raws:
            return
        yield raws
        after = raws[-1].id


def firsts(session: Session, subjects: Sequence[UUID]) -> dict[FirstKey, datetime]:
    """All stages that these subjects came to, and when first."""
    return {(subject, stage): at for subject, stage, at in _FIRSTS_OF.rows(session, subjects)}


def put_firsts(session: Session, rows: Mapping[FirstKey, datetime]) -> None:
    """Write new or earlier firsts."""
    ordered = sorted(rows.items(), key=_in_order)
    _PUT_FIRSTS.write(session, [(*key, at) for key, at in ordered])


def _in_order(row: tuple[FirstKey, datetime]) -> tuple[int, str]:
    """One order for all, so that two transactions do not lock each other out."""
    (subject, stage), _ = row
    return subject.int, stage


def drop_first(session: Session, key: FirstKey) -> None:
    session.execute(delete(First).where(_FIRST.subject == key[0], _FIRST.stage == key[1]))


def earliest(session: Session, key: FirstKey) -> datetime | None:
    """When a subject first came to a stage, by its raw events; None when it has none that counts."""
    moment: datetime | None = session.execute(
        select(func.min(_RAW.occurred_at)).where(
            _RAW.subject == key[0],
            _RAW.stage == key[1],
            _RAW.machine.is_(False),
            _RAW.void.is_(False),
        )
    ).scalar()
    return moment


def add_totals(session: Session, cells: Mapping[Cell, Sequence[int]]) -> None:
    """Add (number, subjects, amount) to each cell."""
    # one order for all, so that two transactions do not lock each other out
    _ADD_TOTALS.write(session, [(*cell, *values) for cell, values in sorted(cells.items())])


def clear_totals(session: Session) -> None:
    session.execute(delete(Total))
    session.execute(delete(First))


def known_names(session: Session, things: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of (kind, id) that have a label."""
    rows = session.execute(
        select(_NAME.kind, _NAME.thing).where(tuple_(_NAME.kind, _NAME.thing).in_(things))
    )
    return {(kind, thing) for kind, thing in rows}


def add_name(session: Session, kind: str, thing: str, label: str, at: datetime) -> None:
    """Remember a label, unless there is one."""
    session.execute(
        upsert(session, Name)
        .values(kind=kind, thing=thing, label=label[:200], seen_at=at)
        .on_conflict_do_nothing()
    )


def names(session: Session) -> list[Name]:
    """All labels, in the order in which they were first heard."""
    return list(session.execute(select(Name).order_by(_NAME.number)).scalars())


def forget_people(
    session: Session, profile_id: UUID, contact_keys: Sequence[str], subjects: Sequence[UUID]
) -> None:
    """Take an erased person out of the raw events; the numbers stay."""
    by_key = _RAW.contact_key.in_(contact_keys)
    by_subject = _RAW.subject.in_(subjects)
    by_profile = _RAW.profile_id == profile_id
    for condition in (by_key, by_subject, by_profile):
        session.execute(
            update(RawEvent)
            .where(condition)
            .values(contact_key=None, profile_id=None, document=None)
        )


def cells(
    session: Session,
    days: tuple[str, str] | None,
    by_day: bool,
    bait: str = "",
    campaign: str = "",
) -> list[Any]:
    """Cells summed over days (inclusive; None: all), kept apart by day only on request."""
    day: Any = _TOTAL.day if by_day else literal("").label("day")
    kept = [_TOTAL.stage, _TOTAL.channel, _TOTAL.bait, _TOTAL.campaign, _TOTAL.part]
    query = select(
        day,
        *kept,
        func.sum(_TOTAL.number),
        func.sum(_TOTAL.subjects),
        func.sum(_TOTAL.amount),
    ).group_by(*([_TOTAL.day] if by_day else []), *kept)
    if days is None:
        query = query.where(_TOTAL.day == "")
    else:
        query = query.where(_TOTAL.day.between(*days))
    if bait:
        query = query.where(_TOTAL.bait == bait)
    if campaign:
        query = query.where(_TOTAL.campaign == campaign)
    return list(session.execute(query))


_OF_ALL_DAYS = Query(
    Total, ("stage", "channel", "bait", "campaign", "number", "subjects"), "WHERE day = ''", ()
)
_LABELS = Query(Name, ("kind", "thing", "label"), "ORDER BY number", ())


def series(session: Session) -> Iterable[tuple[Any, ...]]:
    """What Prometheus is told: (stage, channel, bait, campaign, number, subjects) over all days.

    Of machines and drops there is one for each reason.
    """
    return _OF_ALL_DAYS.rows(session)


def labels(session: Session) -> list[tuple[Any, ...]]:
    """(kind, thing, label) of all things, in the order in which they were first heard."""
    return list(_LABELS.rows(session))

"""Every query of deliveries, leads, owners of contacts and merges."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import case, delete, func, select, update
from sqlmodel import Session

from services.metrics.bulk import Bulk, Lookup
from services.metrics.subjects.models import ContactOwner, Delivery, Lead, ProfileAlias
from services.metrics.tables import columns, upsert

_OWNER: Any = columns(ContactOwner)
_DELIVERY: Any = columns(Delivery)
_LEAD: Any = columns(Lead)
_ALIAS: Any = columns(ProfileAlias)

_DEPTH = 20


class DeliveryRow(NamedTuple):
    """A delivery, as `Delivery` keeps it."""

    id: UUID
    campaign_id: UUID | None
    bait_id: UUID | None
    lead_id: UUID | None
    channel: str
    contact_key: str | None
    profile_id: UUID | None
    sent_at: datetime | None
    month: int


class LeadRow(NamedTuple):
    """A lead, as `Lead` keeps it."""

    id: UUID
    bait_id: UUID
    channel: str
    contact_key: str | None
    submitted_at: datetime


def month_of(at: datetime) -> int:
    """The number of a moment's month."""
    return at.year * 12 + at.month


_DELIVERY_COLUMNS = tuple(_DELIVERY[name] for name in DeliveryRow._fields)
_LEAD_COLUMNS = tuple(_LEAD[name] for name in LeadRow._fields)


def _completed(statement: Any) -> Any:
    added = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "sent_at": func.coalesce(_DELIVERY.sent_at, added.sent_at),
            # one without a contact was an erased person's: what is read again does not bring them back
            "profile_id": case(
                (_DELIVERY.contact_key.is_(None), _DELIVERY.profile_id),
                else_=func.coalesce(added.profile_id, _DELIVERY.profile_id),
            ),
        },
    )


def _newer(statement: Any) -> Any:
    added = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["contact_key"],
        set_={"profile_id": added.profile_id, "at": added.at},
        where=added.at >= _OWNER.at,
    )


_PUT_DELIVERIES = Bulk(Delivery, DeliveryRow._fields, _completed)
_PUT_OWNERS = Bulk(ContactOwner, ("contact_key", "profile_id", "at"), _newer)
_DELIVERIES_BY_ID = Lookup(Delivery, DeliveryRow._fields, "id")
_LEADS_BY_ID = Lookup(Lead, LeadRow._fields, "id")
_PUT_LEADS = Bulk(Lead, LeadRow._fields, lambda statement: statement.on_conflict_do_nothing())


def put_deliveries(session: Session, rows: Sequence[DeliveryRow]) -> None:
    """Remember deliveries; what is known already is only completed."""
    # one order for all, so that two transactions do not lock each other out
    ordered = sorted(rows, key=lambda row: row.id.int)
    _PUT_DELIVERIES.write(session, ordered)


def deliveries(
    session: Session, ids: Iterable[UUID], *, lock: bool = False
) -> dict[UUID, DeliveryRow]:
    """Deliveries by id. `lock` keeps other processes from classing for them at the same time."""
    rows = map(DeliveryRow._make, _DELIVERIES_BY_ID.rows(session, set(ids), lock=lock))
    return {row.id: row for row in rows}


def put_leads(session: Session, rows: Sequence[LeadRow]) -> None:
    _PUT_LEADS.write(session, rows)


def leads(session: Session, ids: Iterable[UUID]) -> dict[UUID, LeadRow]:
    rows = map(LeadRow._make, _LEADS_BY_ID.rows(session, set(ids)))
    return {row.id: row for row in rows}


def put_owners(session: Session, owners: Sequence[tuple[str, UUID]], at: datetime) -> None:
    """Say whose contacts these are, unless something newer is known."""
    # one order for all, so that two transactions do not lock each other out
    _PUT_OWNERS.write(session, [(key, profile_id, at) for key, profile_id in sorted(owners)])


def owner(session: Session, contact_key: str) -> UUID | None:
    """Whose a contact is."""
    found: UUID | None = session.execute(
        select(_OWNER.profile_id).where(_OWNER.contact_key == contact_key)
    ).scalar()
    return found


def put_alias(session: Session, merged_id: UUID, profile_id: UUID) -> None:
    statement = upsert(session, ProfileAlias).values(merged_id=merged_id, profile_id=profile_id)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["merged_id"], set_={"profile_id": profile_id}
        )
    )


def root(session: Session, profile_id: UUID) -> UUID:
    """The profile that a profile is to be read as."""
    for _ in range(_DEPTH):
        into = session.execute(
            select(_ALIAS.profile_id).where(_ALIAS.merged_id == profile_id)
        ).scalar()
        if into is None:
            return profile_id
        profile_id = into
    return profile_id


def group(session: Session, profile_id: UUID) -> set[UUID]:
    """All profiles that are read as the same person."""
    found = {root(session, profile_id)}
    fresh = set(found)
    while fresh:
        merged = session.execute(
            select(_ALIAS.merged_id).where(_ALIAS.profile_id.in_(fresh))
        ).scalars()
        fresh = set(merged) - found
        found |= fresh
    return found


def keys_of(session: Session, profiles: Iterable[UUID]) -> set[str]:
    """The contact keys of these profiles."""
    return set(
        session.execute(
            select(_OWNER.contact_key).where(_OWNER.profile_id.in_(list(profiles)))
        ).scalars()
    )


def _to_contacts(session: Session, contact_keys: Iterable[str]) -> Any:
    """The condition of deliveries to these contacts: a look at each month, not at each delivery."""
    month = _DELIVERY.month
    ends = session.execute(
        select(
            select(func.min(month)).where(month > 0).scalar_subquery(),
            select(func.max(month)).scalar_subquery(),
        )
    ).one()
    first, last = ends[0] or 0, ends[1] or 0
    months = [0, *range(max(1, first), last + 1)]
    return month.in_(months) & _DELIVERY.contact_key.in_(list(contact_keys))


def deliveries_of(session: Session, contact_keys: Iterable[str]) -> list[DeliveryRow]:
    """The deliveries to these contacts."""
    rows = session.execute(select(*_DELIVERY_COLUMNS).where(_to_contacts(session, contact_keys)))
    return [DeliveryRow._make(row) for row in rows]


def last_lead(session: Session, contact_keys: Iterable[str], before: datetime) -> LeadRow | None:
    """The last lead of these contacts at a moment."""
    row = session.execute(
        select(*_LEAD_COLUMNS)
        .where(_LEAD.contact_key.in_(list(contact_keys)), _LEAD.submitted_at <= before)
        .order_by(_LEAD.submitted_at.desc(), _LEAD.id)
        .limit(1)
    ).first()
    return LeadRow._make(row) if row else None


def knows_contact(session: Session, contact_key: str) -> bool:
    """Whether a lead or a delivery has this contact."""
    for id_, condition in (
        (_LEAD.id, _LEAD.contact_key == contact_key),
        (_DELIVERY.id, _to_contacts(session, [contact_key])),
    ):
        if session.execute(select(id_).where(condition).limit(1)).first() is not None:
            return True
    return False


def forget(session: Session, profile_id: UUID, contact_keys: Sequence[str]) -> list[UUID]:
    """Take an erased person out; the deliveries and leads that were theirs."""
    theirs: list[UUID] = []
    for model, of, condition in (
        (Delivery, _DELIVERY, _to_contacts(session, contact_keys)),
        (Lead, _LEAD, _LEAD.contact_key.in_(contact_keys)),
    ):
        ids = session.execute(select(of.id).where(condition)).scalars().all()
        session.execute(update(model).where(of.id.in_(ids)).values(contact_key=None))
        theirs += ids
    session.execute(update(Delivery).where(_DELIVERY.id.in_(theirs)).values(profile_id=None))
    session.execute(
        delete(ContactOwner).where(
            (_OWNER.contact_key.in_(contact_keys)) | (_OWNER.profile_id == profile_id)
        )
    )
    return theirs

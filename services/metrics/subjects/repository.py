"""Every query of deliveries, leads, owners of contacts and merges."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlmodel import Session

from services.metrics.subjects.models import ContactOwner, Delivery, Lead, ProfileAlias
from services.metrics.tables import columns, upsert

_OWNER: Any = columns(ContactOwner)
_DELIVERY: Any = columns(Delivery)
_LEAD: Any = columns(Lead)
_ALIAS: Any = columns(ProfileAlias)

_DEPTH = 20


def put_deliveries(session: Session, rows: Sequence[Delivery]) -> None:
    """Remember deliveries; what is known already is only completed."""
    statement = upsert(session, Delivery)
    added = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"],
            set_={
                "sent_at": func.coalesce(_DELIVERY.sent_at, added.sent_at),
                "profile_id": func.coalesce(added.profile_id, _DELIVERY.profile_id),
            },
        ),
        [
            {
                "id": row.id,
                "campaign_id": row.campaign_id,
                "bait_id": row.bait_id,
                "lead_id": row.lead_id,
                "channel": row.channel,
                "contact_key": row.contact_key,
                "profile_id": row.profile_id,
                "sent_at": row.sent_at,
            }
            for row in rows
        ],
    )


def deliveries(
    session: Session, ids: Iterable[UUID], *, lock: bool = False
) -> dict[UUID, Delivery]:
    """Deliveries by id. `lock` keeps other processes from classing for them at the same time."""
    query = select(Delivery).where(_DELIVERY.id.in_(sorted(set(ids)))).order_by(_DELIVERY.id)
    if lock:
        query = query.with_for_update()
    return {row.id: row for row in session.execute(query).scalars()}


def put_leads(session: Session, rows: Sequence[Lead]) -> None:
    session.execute(
        upsert(session, Lead).on_conflict_do_nothing(), [row.model_dump() for row in rows]
    )


def leads(session: Session, ids: Iterable[UUID]) -> dict[UUID, Lead]:
    rows = session.execute(select(Lead).where(_LEAD.id.in_(list(ids)))).scalars()
    return {row.id: row for row in rows}


def put_owners(session: Session, owners: Sequence[tuple[str, UUID]], at: datetime) -> None:
    """Say whose contacts these are, unless something newer is known."""
    statement = upsert(session, ContactOwner)
    added = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["contact_key"],
            set_={"profile_id": added.profile_id, "at": added.at},
            where=added.at >= _OWNER.at,
        ),
        [
            {"contact_key": key, "profile_id": profile_id, "at": at}
            for key, profile_id in sorted(owners, key=lambda pair: pair[0])
        ],
    )


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


def deliveries_of(session: Session, contact_keys: Iterable[str]) -> list[Delivery]:
    """The deliveries to these contacts."""
    return list(
        session.execute(
            select(Delivery).where(_DELIVERY.contact_key.in_(list(contact_keys)))
        ).scalars()
    )


def last_lead(session: Session, contact_keys: Iterable[str], before: datetime) -> Lead | None:
    """The last lead of these contacts at a moment."""
    return (
        session.execute(
            select(Lead)
            .where(_LEAD.contact_key.in_(list(contact_keys)), _LEAD.submitted_at <= before)
            .order_by(_LEAD.submitted_at.desc(), _LEAD.id)
            .limit(1)
        )
        .scalars()
        .first()
    )


def knows_contact(session: Session, contact_key: str) -> bool:
    """Whether a lead or a delivery has this contact."""
    for query in (
        select(_LEAD.id).where(_LEAD.contact_key == contact_key).limit(1),
        select(_DELIVERY.id).where(_DELIVERY.contact_key == contact_key).limit(1),
    ):
        if session.execute(query).first() is not None:
            return True
    return False


def forget(session: Session, profile_id: UUID, contact_keys: Sequence[str]) -> list[UUID]:
    """Take an erased person out; the deliveries and leads that were theirs."""
    theirs: list[UUID] = []
    for model, of in ((Delivery, _DELIVERY), (Lead, _LEAD)):
        theirs += session.execute(select(of.id).where(of.contact_key.in_(contact_keys))).scalars()
        session.execute(
            update(model).where(of.contact_key.in_(contact_keys)).values(contact_key=None)
        )
    session.execute(update(Delivery).where(_DELIVERY.id.in_(theirs)).values(profile_id=None))
    session.execute(
        delete(ContactOwner).where(
            (_OWNER.contact_key.in_(contact_keys)) | (_OWNER.profile_id == profile_id)
        )
    )
    return theirs

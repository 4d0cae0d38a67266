"""What requests keep: bundles of notices."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.deliveries.models import standing_in
from services.push.deliveries.repository import LEDGER
from services.push.deliveries.states import WAITING
from services.push.requests.models import NoticeBundle, NoticeItem
from services.push.sets import dialect_of

BUNDLES = NoticeBundle.__table__  # type: ignore[attr-defined]  # what SQLModel adds
ITEMS = NoticeItem.__table__  # type: ignore[attr-defined]  # what SQLModel adds


def bundle(session: Session, contact_key: str) -> Any | None:
    """The newest bundle of an address."""
    return session.execute(
        select(BUNDLES).where(BUNDLES.c.contact_key == contact_key)
    ).one_or_none()


def set_bundle(session: Session, contact_key: str, delivery_id: UUID, due_at: datetime) -> None:
    """Make a delivery the newest bundle of an address."""
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    values = {"delivery_id": delivery_id, "due_at": due_at}
    statement = insert(BUNDLES).values(contact_key=contact_key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["contact_key"], set_=values))


def add_item(
    session: Session, contact_key: str, cause_id: str, delivery_id: UUID, title: str
) -> bool:
    """Put a notice into a bundle; False when it was told before."""
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    made = session.execute(
        insert(ITEMS)
        .values(
            contact_key=contact_key, cause_id=cause_id, delivery_id=delivery_id, title=title[:200]
        )
        .on_conflict_do_nothing()
    )
    return bool(made.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def known(session: Session, contact_key: str, cause_id: str) -> bool:
    """Whether a notice is in a bundle already."""
    row = session.execute(
        select(ITEMS.c.cause_id).where(
            ITEMS.c.contact_key == contact_key, ITEMS.c.cause_id == cause_id
        )
    ).first()
    return row is not None


def titles(session: Session, delivery_id: UUID, contact_key: str) -> list[str]:
    """What a bundle tells of."""
    rows = session.execute(
        select(ITEMS.c.title).where(
            ITEMS.c.contact_key == contact_key, ITEMS.c.delivery_id == delivery_id
        )
    )
    return list(rows.scalars())


def retell(session: Session, delivery_id: UUID, vals: dict[str, str]) -> bool:
    """Change what a bundle says, if nobody has taken it for sending yet."""
    changed = session.execute(
        update(LEDGER)
        .where(LEDGER.c.id == delivery_id, standing_in(WAITING, LEDGER.c.state))
        .values(vals=vals)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def delivery_of(
    session: Session, cause_id: str, contact_key: str, profile_id: UUID | None
) -> UUID | None:
    """The delivery of a request by API to a contact, or to the profile over another contact."""
    same = LEDGER.c.contact_key == contact_key
    if profile_id is not None:
        same = or_(same, LEDGER.c.profile_id == profile_id)
    found: UUID | None = session.execute(
        select(LEDGER.c.id)
        .where(LEDGER.c.cause_kind == "api", LEDGER.c.cause_id == cause_id, same)
        .limit(1)
    ).scalar()
    return found

"""Every query on baits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, col, select

from services.capture.baits.models import Bait, BaitVersion, FieldType


def find(session: Session, slug: str) -> tuple[Bait, BaitVersion] | None:
    """A bait with its current version."""
    return session.exec(
        select(Bait, BaitVersion).join(BaitVersion, _current()).where(Bait.slug == slug)
    ).first()


def find_by_ids(session: Session, ids: Sequence[UUID]) -> Sequence[tuple[Bait, BaitVersion]]:
    """Baits with their current versions, in no order."""
    return session.exec(
        select(Bait, BaitVersion).join(BaitVersion, _current()).where(col(Bait.id).in_(ids))
    ).all()


def version(session: Session, bait_id: UUID, number: int) -> BaitVersion | None:
    """What a bait said in one of its versions."""
    return session.get(BaitVersion, (bait_id, number))


def page(session: Session, after: str | None, limit: int) -> Sequence[tuple[Bait, BaitVersion]]:
    """Baits by slug, those behind `after`."""
    query = select(Bait, BaitVersion).join(BaitVersion, _current())
    if after is not None:
        query = query.where(Bait.slug > after)
    return session.exec(query.order_by(Bait.slug).limit(limit)).all()


def is_empty(session: Session) -> bool:
    """Whether there never was a bait."""
    return session.exec(select(Bait.id).limit(1)).first() is None


def add(session: Session, bait: Bait, document: Mapping[str, Any]) -> bool:
    """Make a bait with its first version; False when the slug is taken."""
    insert = _insert(session)
    made = session.execute(
        insert(Bait).values(bait.model_dump()).on_conflict_do_nothing().returning(col(Bait.id))
    ).first()
    if made is None:
        return False
    first = BaitVersion(
        bait_id=bait.id, version=bait.version, document=dict(document), created_at=bait.changed_at
    )
    session.add(first)
    session.flush()
    return True


def change(session: Session, bait: Bait, document: Mapping[str, Any], now: datetime) -> bool:
    """Add the version after `bait.version`; False when somebody else was first."""
    number = bait.version + 1  # read before the update, which changes the object too
    if not _move(session, bait, {"version": number, "changed_at": now}):
        return False
    session.add(
        BaitVersion(bait_id=bait.id, version=number, document=dict(document), created_at=now)
    )
    session.flush()
    return True


def retire(session: Session, bait: Bait, now: datetime) -> bool:
    """End a bait; False when somebody else has changed it."""
    return _move(session, bait, {"retired_at": now, "changed_at": now})


def _move(session: Session, bait: Bait, values: Mapping[str, Any]) -> bool:
    moved = session.execute(
        update(Bait)
        .where(
            col(Bait.id) == bait.id,
            col(Bait.version) == bait.version,
            col(Bait.retired_at).is_(None),
        )
        .values(values)
    )
    return bool(moved.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def declare_types(session: Session, types: Mapping[str, str]) -> list[str]:
    """Fix the types of field names; the names that have another type already."""
    if not types:
        return []
    insert = _insert(session)
    rows = [{"name": name, "type": kind} for name, kind in sorted(types.items())]
    session.execute(insert(FieldType).values(rows).on_conflict_do_nothing())
    known = session.exec(select(FieldType).where(col(FieldType.name).in_(types))).all()
    return sorted(field.name for field in known if field.type != types[field.name])


def _current() -> Any:
    return (col(BaitVersion.bait_id) == col(Bait.id)) & (
        col(BaitVersion.version) == col(Bait.version)
    )


def _insert(session: Session) -> Any:
    dialect = session.get_bind().dialect.name
    return insert_postgresql if dialect == "postgresql" else insert_sqlite

"""The queries of segments."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlmodel import Session

from services.profile.base import table_of
from services.profile.paging import AFTER
from services.profile.people.models import Word
from services.profile.people.person import CONTACTS, FIELDS, PROFILES, TAGS
from services.profile.segments.compiling import people_of
from services.profile.segments.leaves import Having
from services.profile.segments.models import Segment
from services.shared.database.cursors import after

SEGMENTS, WORDS = table_of(Segment), table_of(Word)

_COUNTED = 500_000


def insert(session: Session, segment: Segment) -> None:
    """Keep a new segment."""
    session.add(segment)


def find(session: Session, segment_id: UUID) -> Segment | None:
    """A segment, also a retired one."""
    return session.get(Segment, segment_id)


def page(session: Session, cursor: str | None, limit: int) -> Sequence[Segment]:
    """Open segments, newest first."""
    table = SEGMENTS.c
    return (
        session.execute(
            select(Segment)
            .where(
                table.retired_at.is_(None), *after(cursor, table.created_at, table.id, name=AFTER)
            )
            .order_by(table.created_at.desc(), table.id.desc())
            .limit(limit)
        )
        .scalars()
        .all()
    )


def change(session: Session, segment_id: UUID, version: int, values: dict[str, Any]) -> bool:
    """Change the given version; False when it is no longer the one."""
    result = session.execute(
        update(SEGMENTS)
        .where(SEGMENTS.c.id == segment_id, SEGMENTS.c.version == version)
        .values(version=version + 1, **values)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def retire(session: Session, segment_id: UUID, version: int, at: datetime) -> bool:
    """Take a segment out of the list."""
    return change(session, segment_id, version, {"retired_at": at, "changed_at": at})


def types_of(session: Session, fields: set[str]) -> dict[str, str]:
    """The declared types of those fields that were met."""
    if not fields:
        return {}
    rows = session.execute(
        select(WORDS.c.word, WORDS.c.detail).where(
            WORDS.c.kind == "field", WORDS.c.word.in_(sorted(fields))
        )
    )
    return {row.word: row.detail for row in rows}


def count(session: Session, condition: ColumnElement[bool]) -> int:
    """How many people fulfil a condition."""
    return int(
        session.execute(select(func.count()).select_from(PROFILES).where(condition)).scalar_one()
    )


def size(session: Session, part: Having) -> int:
    """How many rows fulfil a condition; it stops counting at `_COUNTED`."""
    some = select(part.table.c.profile_id).where(*part.conditions).limit(_COUNTED).subquery()
    return int(session.execute(select(func.count()).select_from(some)).scalar_one())


def sparsest(session: Session, sets: Sequence[Having], after: UUID | None, limit: int) -> int:
    """Which of these sets reaches farthest with its next `limit` people: a look at so many entries of each."""
    best, farthest = 0, UUID(int=0)
    for number, part in enumerate(sets):
        person = part.table.c.profile_id
        statement = select(person).where(*part.conditions).order_by(person)
        if after is not None:
            statement = statement.where(person > after)
        last = session.execute(statement.offset(limit - 1).limit(1)).scalar()
        if last is None:
            return number
        if last > farthest:
            best, farthest = number, last
    return best


def members(
    session: Session,
    condition: ColumnElement[bool],
    after: UUID | None,
    limit: int,
    within: Having | None = None,
) -> list[UUID]:
    """Ids of the people who fulfil a condition, in order, beginning after `after`.

    `within`: only people of this set are looked at.
    """
    person: ColumnElement[Any] = PROFILES.c.id
    statement: Any = select(person)
    if within is not None:
        person, statement = people_of(within)
    statement = statement.where(condition).order_by(person).limit(limit)
    if after is not None:
        statement = statement.where(person > after)
    return list(session.execute(statement).scalars())


def people(session: Session, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """What a sample shows of these people."""
    shown: dict[UUID, dict[str, Any]] = {}
    for row in session.execute(
        select(PROFILES.c.id, PROFILES.c.language, PROFILES.c.created_at).where(
            PROFILES.c.id.in_(ids)
        )
    ):
        shown[row.id] = dict(row._mapping) | {"channels": [], "tags": [], "fields": {}}
    for row in session.execute(
        select(CONTACTS.c.profile_id, CONTACTS.c.channel)
        .where(CONTACTS.c.profile_id.in_(ids))
        .distinct()
    ):
        shown[row.profile_id]["channels"].append(row.channel)
    for row in session.execute(
        select(TAGS.c.profile_id, TAGS.c.tag).where(TAGS.c.profile_id.in_(ids)).order_by(TAGS.c.tag)
    ):
        shown[row.profile_id]["tags"].append(row.tag)
    for row in session.execute(
        select(FIELDS.c.profile_id, FIELDS.c.name, FIELDS.c.value).where(
            FIELDS.c.profile_id.in_(ids), FIELDS.c.newest
        )
    ):
        shown[row.profile_id]["fields"][row.name] = row.value
    return [shown[person] for person in ids if person in shown]

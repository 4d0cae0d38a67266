"""The queries of people."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, union_all
from sqlmodel import Session

from services.profile.base import Row, table_of
from services.profile.consent.models import ConsentEntry
from services.profile.leads.models import HandledLead
from services.profile.paging import AFTER
from services.profile.people.models import MergeCandidate, Word
from services.profile.people.person import CONSENTS, CONTACTS, FIELDS, PROFILES, TAGS
from services.profile.timeline.models import TimelineEntry
from services.shared.database.cursors import after

ENTRIES, HANDLED = table_of(ConsentEntry), table_of(HandledLead)
CANDIDATES, TIMELINE, WORDS = table_of(MergeCandidate), table_of(TimelineEntry), table_of(Word)

_PROOFS = 200
_WORDS = 500


@dataclass(frozen=True)
class Filter:
    """Which people a list shows."""

    tag: str | None = None
    bait: str | None = None


def owner(session: Session, contact_key: str) -> UUID | None:
    """The profile that a contact belongs to."""
    return session.execute(
        select(CONTACTS.c.profile_id).where(CONTACTS.c.contact_key == contact_key)
    ).scalar()


def exists(session: Session, profile_id: UUID) -> bool:
    """Whether there is such a profile."""
    found = session.execute(select(PROFILES.c.id).where(PROFILES.c.id == profile_id)).first()
    return found is not None


def contact_keys(session: Session, profile_id: UUID) -> list[str]:
    """The contact keys of a profile."""
    return list(
        session.execute(
            select(CONTACTS.c.contact_key)
            .where(CONTACTS.c.profile_id == profile_id)
            .order_by(CONTACTS.c.added_at, CONTACTS.c.position)
        ).scalars()
    )


def whole(session: Session, profile_id: UUID) -> Row | None:
    """Everything about one person but the timeline."""
    found = session.execute(select(PROFILES).where(PROFILES.c.id == profile_id)).mappings().first()
    if found is None:
        return None
    person = dict(found)
    person["contacts"] = _rows(
        session, CONTACTS, profile_id, CONTACTS.c.added_at, CONTACTS.c.position
    )
    person["fields"] = _rows(
        session, FIELDS, profile_id, FIELDS.c.name, FIELDS.c.newest.desc(), FIELDS.c.at.desc()
    )
    person["tags"] = _rows(session, TAGS, profile_id, TAGS.c.tag)
    person["consents"] = _rows(
        session, CONSENTS, profile_id, CONSENTS.c.purpose, CONSENTS.c.channel
    )
    person["consent_proofs"] = _rows(
        session, ENTRIES, profile_id, ENTRIES.c.at.desc(), limit=_PROOFS
    )
    person["merge_candidates"] = _candidates(session, profile_id)
    return person


def _rows(
    session: Session, table: Any, profile_id: UUID, *order: Any, limit: int = 1000
) -> list[Row]:
    rows = session.execute(
        select(table).where(table.c.profile_id == profile_id).order_by(*order).limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


def _candidates(session: Session, profile_id: UUID) -> list[Row]:
    own, other = CANDIDATES.c.profile_id, CANDIDATES.c.other_id
    rows = session.execute(
        union_all(
            select(other, CANDIDATES.c.lead_id, CANDIDATES.c.at).where(own == profile_id),
            select(own, CANDIDATES.c.lead_id, CANDIDATES.c.at).where(other == profile_id),
        )
    )
    return [{"profile_id": row[0], "lead_id": row[1], "at": row[2]} for row in rows]


def page_of_ids(session: Session, chosen: Filter, after: UUID | None, limit: int) -> list[UUID]:
    """Ids of people in falling order. It follows an index: a page costs a page."""
    column: Any
    if chosen.tag is not None:
        column, where = TAGS.c.profile_id, [TAGS.c.tag == chosen.tag]
    elif chosen.bait is not None:
        column, where = HANDLED.c.profile_id, [HANDLED.c.bait_slug == chosen.bait]
    else:
        column, where = PROFILES.c.id, []
    if chosen.tag is not None and chosen.bait is not None:
        came = select(HANDLED.c.lead_id).where(
            HANDLED.c.bait_slug == chosen.bait, HANDLED.c.profile_id == column
        )
        where.append(came.exists())
    if after is not None:
        where.append(column < after)
    statement = select(column).where(*where).distinct().order_by(column.desc()).limit(limit)
    return list(session.execute(statement).scalars())


def lines(session: Session, ids: Sequence[UUID]) -> list[Row]:
    """What a list shows of these people, in the order of `ids`."""
    people: dict[UUID, Row] = {}
    for row in session.execute(select(PROFILES).where(PROFILES.c.id.in_(ids))).mappings():
        people[row["id"]] = dict(row) | {"contacts": [], "tags": [], "fields": {}, "consents": []}
    for row in session.execute(
        select(CONTACTS)
        .where(CONTACTS.c.profile_id.in_(ids))
        .order_by(CONTACTS.c.added_at, CONTACTS.c.position)
    ).mappings():
        people[row["profile_id"]]["contacts"].append(dict(row))
    for tag in session.execute(
        select(TAGS.c.profile_id, TAGS.c.tag).where(TAGS.c.profile_id.in_(ids)).order_by(TAGS.c.tag)
    ):
        people[tag.profile_id]["tags"].append(tag.tag)
    return [people[profile_id] for profile_id in ids if profile_id in people]


def add_values(session: Session, people: Sequence[Row]) -> None:
    """Add the newest values and the consents to what a list shows."""
    by_id = {person["id"]: person for person in people}
    for field in session.execute(
        select(FIELDS.c.profile_id, FIELDS.c.name, FIELDS.c.value).where(
            FIELDS.c.profile_id.in_(list(by_id)), FIELDS.c.newest
        )
    ):
        by_id[field.profile_id]["fields"][field.name] = field.value
    for row in session.execute(
        select(CONSENTS).where(CONSENTS.c.profile_id.in_(list(by_id)))
    ).mappings():
        by_id[row["profile_id"]]["consents"].append(dict(row))


def timeline(session: Session, profile_id: UUID, cursor: str | None, limit: int) -> list[Row]:
    """What happened with a person, newest first."""
    table = TIMELINE.c
    rows = session.execute(
        select(TIMELINE)
        .where(table.profile_id == profile_id, *after(cursor, table.at, table.event_id, name=AFTER))
        .order_by(table.at.desc(), table.event_id.desc())
        .limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


def words(session: Session, kind: str) -> dict[str, str]:
    """The fields, tags or baits that were met, with their detail."""
    rows = session.execute(
        select(WORDS.c.word, WORDS.c.detail)
        .where(WORDS.c.kind == kind)
        .order_by(WORDS.c.word)
        .limit(_WORDS)
    )
    return {row.word: row.detail for row in rows}


def bait_names(session: Session, bait_ids: set[str]) -> dict[str, str]:
    """Bait id → slug, of those that were met."""
    if not bait_ids:
        return {}
    rows = session.execute(
        select(WORDS.c.detail, WORDS.c.word).where(
            WORDS.c.kind == "bait", or_(WORDS.c.detail.in_(sorted(bait_ids)))
        )
    )
    return {row.detail: row.word for row in rows}

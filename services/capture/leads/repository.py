"""Every query on leads. What runs per submission is written in batches, without objects per row."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Table, and_, bindparam, delete, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, col, select

from services.capture.leads.models import KeptAnswer, Lead, ProfileAlias
from services.shared.clock import EPOCH
from services.shared.database import arrays
from services.shared.database.rows import RowWriter

ERASED = "{}"

# tables, not classes: an insert into a class goes through the unit of work, row by row
_LEADS = cast("Table", Lead.__table__)  # type: ignore[attr-defined]  # SQLModel does not say it
_ANSWERS = cast("Table", KeptAnswer.__table__)  # type: ignore[attr-defined]  # as above


class Kept(NamedTuple):
    """A kept answer and the hash of the body that it belongs to."""

    body_hash: str
    answer: str


class NewLead(NamedTuple):
    """A row of `leads`, in the order in which it is written."""

    id: UUID
    bait_id: UUID
    version: int
    channel: str
    contact_key: str
    accepted_at: datetime
    expires_at: datetime
    document: str


# each is what one of the partial indexes needs to be used
_WITH_PROFILE = col(Lead.profile_id).is_not(None)
_WITHOUT_PROFILE = and_(col(Lead.profile_id).is_(None), col(Lead.accepted_at) > EPOCH)

_SET_PROFILES = """
UPDATE leads SET profile_id = given.profile
FROM unnest($1::uuid[], $2::uuid[]) AS given(lead, profile) WHERE leads.id = given.lead
"""

_NEW_LEADS = RowWriter(_LEADS, *NewLead._fields)


def add(session: Session, rows: Sequence[NewLead]) -> None:
    """Write leads."""
    _NEW_LEADS.write(session, rows)


def claim(session: Session, rows: Sequence[Mapping[str, Any]]) -> dict[str, Kept]:
    """Keep answers under their keys; what was kept before under any of them, by key.

    Keys go in by their order, so that two processes wait for each other, never both.
    """
    ordered = sorted(rows, key=lambda row: str(row["key"]))
    dialect = session.get_bind().dialect.name
    kind: Any = insert_postgresql if dialect == "postgresql" else insert_sqlite
    taken = session.execute(
        kind(_ANSWERS).on_conflict_do_nothing().returning(_ANSWERS.c.key), ordered
    ).scalars()
    others = {row["key"] for row in rows} - set(taken)
    if not others:
        return {}
    found = session.execute(
        select(KeptAnswer.key, KeptAnswer.body_hash, KeptAnswer.answer).where(
            col(KeptAnswer.key).in_(others)
        )
    )
    return {key: Kept(body_hash, answer) for key, body_hash, answer in found}


def kept(session: Session, key: str) -> Kept | None:
    """The answer kept under a key."""
    found = session.get(KeptAnswer, key)
    return Kept(found.body_hash, found.answer) if found is not None else None


def forget_answers(session: Session, before: datetime, limit: int = 1000) -> int:
    """Drop kept answers that are older; how many."""
    old = select(KeptAnswer.key).where(col(KeptAnswer.at) < before).limit(limit)
    dropped = session.execute(delete(KeptAnswer).where(col(KeptAnswer.key).in_(old)))
    return int(dropped.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def get(session: Session, lead_id: UUID) -> Lead | None:
    """A lead."""
    return session.get(Lead, lead_id)


def others_of(session: Session, lead: Lead, now: datetime, limit: int = 20) -> Sequence[Lead]:
    """What else the same contact asked for and may still open, the newest first, each bait once."""
    rows = [
        row
        for known in (_WITH_PROFILE, _WITHOUT_PROFILE)
        for row in session.exec(
            select(Lead)
            .where(
                known,
                Lead.contact_key == lead.contact_key,
                col(Lead.bait_id) != lead.bait_id,
                col(Lead.revoked_at).is_(None),
                col(Lead.expires_at) > now,
            )
            .order_by(col(Lead.accepted_at).desc())
            .limit(200)
        )
    ]
    rows.sort(key=lambda row: row.accepted_at, reverse=True)
    newest: dict[UUID, Lead] = {}
    for row in rows:
        newest.setdefault(row.bait_id, row)
    return list(newest.values())[:limit]


def mark(session: Session, lead_id: UUID, column: str, now: datetime) -> bool:
    """Note the time of the first time; False when it was noted before."""
    marked = session.execute(
        update(Lead)
        .where(col(Lead.id) == lead_id, getattr(Lead, column).is_(None))
        .values({column: now})
    )
    return bool(marked.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def set_profiles(session: Session, found: Mapping[UUID, UUID]) -> None:
    """Say which profile each lead belongs to."""
    if session.get_bind().dialect.name == "postgresql":
        arrays.run(session.connection(), _SET_PROFILES, (found.keys(), found.values()))
        return
    session.connection().execute(
        update(_LEADS)
        .where(_LEADS.c.id == bindparam("lead"))
        .values(profile_id=bindparam("profile")),
        [{"lead": lead_id, "profile": profile_id} for lead_id, profile_id in found.items()],
    )


def merge(session: Session, merged_id: UUID, profile_id: UUID) -> None:
    """Remember that a profile went into another."""
    dialect = session.get_bind().dialect.name
    kind: Any = insert_postgresql if dialect == "postgresql" else insert_sqlite
    session.execute(
        kind(ProfileAlias)
        .values(merged_id=merged_id, profile_id=profile_id)
        .on_conflict_do_update(index_elements=["merged_id"], set_={"profile_id": profile_id})
    )


def _with_merged(session: Session, profile_id: UUID) -> set[UUID]:
    """A profile and all that went into it, also by way of others."""
    found, fresh = {profile_id}, {profile_id}
    while fresh:
        rows = session.exec(
            select(ProfileAlias.merged_id).where(col(ProfileAlias.profile_id).in_(fresh))
        ).all()
        fresh = set(rows) - found
        found |= fresh
    return found


def erase(session: Session, profile_id: UUID, contact_keys: Sequence[str], now: datetime) -> None:
    """Take everything personal out of a person's leads, and close their links."""
    profiles = _with_merged(session, profile_id)
    theirs = col(Lead.contact_key).in_(contact_keys)
    for found in (
        col(Lead.profile_id).in_(profiles),
        and_(_WITH_PROFILE, theirs),
        and_(_WITHOUT_PROFILE, theirs),
    ):
        session.execute(
            update(Lead)
            .where(found, col(Lead.document) != ERASED)
            .values(document=ERASED, contact_key="", revoked_at=now)
        )

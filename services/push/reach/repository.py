"""Writing push's view of people, many at a time."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Integer,
    String,
    Text,
    Uuid,
    case,
    cast,
    delete,
    func,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.reach.models import ReachContact, ReachProfile, Suppression
from services.push.sets import RowSet, dialect_of
from services.shared.database.arrays import among
from services.shared.database.base import Dialect
from services.shared.database.rows import RowWriter

PROFILES = ReachProfile.__table__  # type: ignore[attr-defined]  # what SQLModel adds
CONTACTS = ReachContact.__table__  # type: ignore[attr-defined]  # what SQLModel adds
SUPPRESSIONS = Suppression.__table__  # type: ignore[attr-defined]  # what SQLModel adds


class Person(NamedTuple):
    """The state of a profile that matters to push. `fields` is JSON."""

    id: UUID
    revision: int
    language: str
    zone: str | None
    fields: str


class Contact(NamedTuple):
    """A contact as it is written."""

    contact_key: str
    profile_id: UUID
    channel: str
    account: str
    address: str
    abuse_key: str
    verified_at: datetime | None
    provenance: str | None
    marketing: bool | None
    agreed_at: datetime | None = None


_CONTACTS = RowWriter(CONTACTS, *Contact._fields)


class Reachable(NamedTuple):
    """A profile's contact over one channel, for planning."""

    profile_id: UUID
    contact_key: str
    language: str


@cache
def _accepting(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(
        dialect,
        "given",
        id=Uuid(),
        revision=Integer(),
        language=String(),
        zone=String(),
        fields=Text(),
    )
    postgres = dialect == "postgresql"
    fields = cast(given.fields, JSONB()) if postgres else given.fields
    names = ["id", "revision", "language", "zone", "fields"]
    rows = select(given.id, given.revision, given.language, given.zone, fields).where(true())
    insert_into = (insert_postgresql if postgres else insert_sqlite)(PROFILES)
    statement = insert_into.from_select(names, rows, include_defaults=False)
    new = statement.excluded
    # an older revision is old news, and an erased person does not come back
    return given, statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: new[name] for name in names[1:]},
        where=(PROFILES.c.revision < new.revision) & PROFILES.c.erased_at.is_(None),
    ).returning(PROFILES.c.id)


def accept(session: Session, people: Sequence[Person], contacts: Iterable[Contact]) -> set[UUID]:
    """Take the states that are newer than what is known, with their contacts; whose they were."""
    given, statement = _accepting(dialect_of(session))
    newer = set(session.execute(statement, given.bind(people)).scalars())
    if newer:
        session.execute(delete(CONTACTS).where(among(session, CONTACTS.c.profile_id, newer)))
        _CONTACTS.write(session, [contact for contact in contacts if contact.profile_id in newer])
    return newer


def erase(session: Session, profile_ids: Sequence[UUID], at: datetime) -> list[str]:
    """Forget people but for their ids; the addresses that they had."""
    addresses = list(
        session.execute(
            select(CONTACTS.c.address).where(CONTACTS.c.profile_id.in_(profile_ids))
        ).scalars()
    )
    session.execute(delete(CONTACTS).where(CONTACTS.c.profile_id.in_(profile_ids)))
    empty = Person(UUID(int=0), 0, "", None, json.dumps({}))
    given, statement = _accepting(dialect_of(session))
    session.execute(statement, given.bind([empty._replace(id=id_) for id_ in profile_ids]))
    # it is said twice, by an event and by a tombstone, in any order and perhaps again: the first time counts
    later = PROFILES.c.erased_at.is_(None) | (PROFILES.c.erased_at > at)
    session.execute(
        update(PROFILES)
        .where(PROFILES.c.id.in_(profile_ids), later)
        .values(erased_at=at, fields={}, zone=null(), language="")
    )
    return addresses


def merge(session: Session, merged_id: UUID, into: UUID) -> None:
    """One person under two ids from now on, for what is counted per person."""
    session.execute(
        update(PROFILES)
        .where(PROFILES.c.id == merged_id)
        .values(alias_of=case((PROFILES.c.id == into, null()), else_=into))
    )


def unsubscribed_at(session: Session, contact_keys: Sequence[str]) -> dict[str, datetime]:
    """When those of the contacts that have unsubscribed did."""
    rows = session.execute(
        select(SUPPRESSIONS.c.contact_key, SUPPRESSIONS.c.at).where(
            SUPPRESSIONS.c.reason == "unsubscribed",
            among(session, SUPPRESSIONS.c.contact_key, contact_keys),
        )
    )
    return {row.contact_key: row.at for row in rows}


def agreed_at(session: Session, contact_key: str) -> datetime | None:
    """When the person of a contact last agreed by their own word; None: never, as far as push knows."""
    found: datetime | None = session.execute(
        select(CONTACTS.c.agreed_at)
        .where(CONTACTS.c.contact_key == contact_key, CONTACTS.c.agreed_at.is_not(None))
        .order_by(CONTACTS.c.agreed_at.desc())
        .limit(1)
    ).scalar()
    return found


@cache
def _reachable(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", profile_id=Uuid())
    best = (
        func.row_number()
        .over(
            partition_by=CONTACTS.c.profile_id,
            order_by=(
                CONTACTS.c.verified_at.is_(None),
                CONTACTS.c.provenance.is_(None),
                CONTACTS.c.contact_key,
            ),
        )
        .label("place")
    )
    inner = (
        select(CONTACTS.c.profile_id, CONTACTS.c.contact_key, PROFILES.c.language, best)
        .join(given.table, given.profile_id == CONTACTS.c.profile_id)
        .join(PROFILES, PROFILES.c.id == CONTACTS.c.profile_id)
        .where(PROFILES.c.erased_at.is_(None))
    )
    return given, inner


def reachable(
    session: Session, profile_ids: Sequence[UUID], channel: str | None
) -> dict[UUID, Reachable]:
    """The best contact of each profile over a channel (verified before recorded before typed).

    `channel` is the kind of contact; None: any. Whether it may be written to is asked at sending.
    """
    given, inner = _reachable(dialect_of(session))
    if channel is not None:
        inner = inner.where(CONTACTS.c.channel == channel)
    ranked = inner.subquery()
    rows = session.execute(
        select(ranked.c.profile_id, ranked.c.contact_key, ranked.c.language).where(
            ranked.c.place == 1
        ),
        given.bind([(profile_id,) for profile_id in profile_ids]),
    )
    return {row.profile_id: Reachable(*row) for row in rows}


def profile_of(session: Session, contact_key: str) -> UUID | None:
    """The profile that a contact belongs to, as far as push knows."""
    found: UUID | None = session.execute(
        select(CONTACTS.c.profile_id)
        .where(CONTACTS.c.contact_key == contact_key)
        .order_by(CONTACTS.c.verified_at.is_(None))
        .limit(1)
    ).scalar()
    return found


def masked(session: Session, contact_key: str) -> str | None:
    """The address of a contact with its middle left out; None where push does not know it."""
    address = session.execute(
        select(CONTACTS.c.address).where(CONTACTS.c.contact_key == contact_key).limit(1)
    ).scalar()
    return None if address is None else mask(address)


def mask(address: str) -> str:
    """An address that its owner would know again and nobody else could use."""
    local, at, domain = address.rpartition("@")
    if not at:
        return f"{address[:3]}…{address[-2:]}" if len(address) > 6 else "…"
    return f"{local[:1]}…@{domain}"

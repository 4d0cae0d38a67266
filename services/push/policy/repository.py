"""What the policy reads and reserves, for a batch of messages at a time."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Date,
    Integer,
    String,
    Uuid,
    and_,
    bindparam,
    column,
    delete,
    exists,
    func,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from services.push.policy.asks import Ask
from services.push.policy.models import CapSlot, MailLimit
from services.push.reach.models import ReachContact, ReachProfile, Suppression
from services.push.sets import PairSet, RowSet, dialect_of
from services.shared.database import Moment
from services.shared.database.base import Dialect
from services.shared.database.ready import Ready

PROFILES = ReachProfile.__table__  # type: ignore[attr-defined]  # what SQLModel adds
CONTACTS = ReachContact.__table__  # type: ignore[attr-defined]  # what SQLModel adds
SUPPRESSIONS = Suppression.__table__  # type: ignore[attr-defined]  # what SQLModel adds
SLOTS = CapSlot.__table__  # type: ignore[attr-defined]  # what SQLModel adds
LIMITS = MailLimit.__table__  # type: ignore[attr-defined]  # what SQLModel adds
LEDGER = table(
    "deliveries",
    column("id", Uuid),
    column("profile_id", Uuid),
    column("contact_key", String),
)


class Known(NamedTuple):
    """What push knows of the person and the contact of one message.

    `recorded`: an operator has recorded the consent with its provenance. `suppressed`: for some reason.
    """

    profile_id: UUID | None
    erased: bool
    zone: str | None
    fields: dict[str, Any] | None
    address: str | None
    abuse_key: str | None
    verified: bool
    recorded: bool
    marketing: bool | None
    suppressed: bool


@cache
def _people(dialect: Dialect, *, named: bool) -> tuple[RowSet, Ready]:
    """Of deliveries to a profile that is `named`, or of others."""
    given = RowSet(dialect, "given", id=Uuid())
    if named:
        # by the person: profiles of a campaign stand near each other, keys are hashes, each on a page of its own
        key = func.coalesce(CONTACTS.c.contact_key, literal_column("''"))
        theirs = and_(CONTACTS.c.profile_id == LEDGER.c.profile_id, key == LEDGER.c.contact_key)
    else:
        # a contact of a request without a profile may still be known: then any profile's word counts
        theirs = CONTACTS.c.contact_key == LEDGER.c.contact_key
    statement = (
        select(
            LEDGER.c.id,
            func.coalesce(PROFILES.c.alias_of, PROFILES.c.id, type_=Uuid()),
            PROFILES.c.erased_at.is_not(None),
            PROFILES.c.zone,
            PROFILES.c.fields,
            CONTACTS.c.address,
            CONTACTS.c.abuse_key,
            CONTACTS.c.verified_at.is_not(None),
            CONTACTS.c.provenance.is_not(None),
            CONTACTS.c.marketing,
            exists().where(SUPPRESSIONS.c.contact_key == LEDGER.c.contact_key),
        )
        .select_from(given.table)
        .join(LEDGER, LEDGER.c.id == given.id)
        .outerjoin(PROFILES, PROFILES.c.id == LEDGER.c.profile_id)
        .outerjoin(CONTACTS, theirs)
    )
    return given, Ready(statement)


def people(session: Session, asks: Sequence[Ask]) -> dict[UUID, Known]:
    """What is known for each ask, by delivery; the ledger has them all."""
    found: dict[UUID, Known] = {}
    for named in (True, False):
        ids = [(ask.id,) for ask in asks if (ask.profile_id is not None) == named]
        if not ids:
            continue
        given, statement = _people(dialect_of(session), named=named)
        for id_, *rest in statement.rows(session, given.bind(ids)):
            known = Known._make(rest)
            before = found.get(id_)
            if before is None or (known.verified and not before.verified):
                found[id_] = known
    return found


@cache
def _suppressed(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", contact_key=String())
    statement = select(SUPPRESSIONS.c.contact_key, SUPPRESSIONS.c.reason, SUPPRESSIONS.c.at).join(
        given.table, given.contact_key == SUPPRESSIONS.c.contact_key
    )
    return given, statement


def suppressions(session: Session, asks: Sequence[Ask]) -> dict[str, dict[str, datetime]]:
    """Reasons and times by contact key, of those that have any."""
    if not asks:
        return {}
    given, statement = _suppressed(dialect_of(session))
    found: dict[str, dict[str, datetime]] = {}
    keys = [(key,) for key in {ask.contact_key for ask in asks}]
    for contact_key, reason, at in session.execute(statement, given.bind(keys)):
        found.setdefault(contact_key, {})[reason] = at
    return found


class Slot(NamedTuple):
    """One reserved place under the cap."""

    profile_id: UUID
    week: date
    week_slot: int
    day: date
    day_slot: int
    delivery_id: UUID


class Limit(NamedTuple):
    """One mail that counts under S8."""

    abuse_key: str
    number: int
    sent_at: datetime
    bait_id: UUID | None
    delivery_id: UUID


_SLOT: dict[str, TypeEngine[Any]] = {
    "profile_id": Uuid(),
    "week": Date(),
    "week_slot": Integer(),
    "day": Date(),
    "day_slot": Integer(),
    "delivery_id": Uuid(),
}
_SHARED = ("week", "week_slot", "day", "day_slot")
_LIMIT: dict[str, TypeEngine[Any]] = {
    "abuse_key": String(),
    "number": Integer(),
    "sent_at": Moment(),
    "bait_id": Uuid(),
    "delivery_id": Uuid(),
}


@cache
def _counting(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", **_LIMIT)
    insert = insert_postgresql if dialect == "postgresql" else insert_sqlite
    rows = select(*[given.table.c[name] for name in _LIMIT]).where(true())
    statement = insert(LIMITS).from_select(list(_LIMIT), rows, include_defaults=False)
    return given, Ready(statement.on_conflict_do_nothing().returning(LIMITS.c.delivery_id))


@cache
def _taking(dialect: Dialect) -> tuple[PairSet, Ready]:
    given = PairSet(dialect, "given", "profile_id", "delivery_id", Uuid())
    shared = [bindparam(f"the_{name}", type_=_SLOT[name]) for name in _SHARED]
    rows = select(given.profile_id, given.delivery_id, *shared).where(true())
    insert = insert_postgresql if dialect == "postgresql" else insert_sqlite
    names = ["profile_id", "delivery_id", *_SHARED]
    statement = insert(SLOTS).from_select(names, rows, include_defaults=False)
    return given, Ready(statement.on_conflict_do_nothing().returning(SLOTS.c.delivery_id))


def reserve_slots(session: Session, slots: Sequence[Slot]) -> set[UUID]:
    """The deliveries whose slot is theirs now; another transaction has taken those of the others.

    In one order, so that two transactions wait for each other in one direction only: places that are alike
    together, and of these the profiles.
    """
    given, statement = _taking(dialect_of(session))
    alike: dict[tuple[Any, ...], list[tuple[UUID, UUID]]] = {}
    for slot in slots:
        key = (slot.week, slot.week_slot, slot.day, slot.day_slot)
        alike.setdefault(key, []).append((slot.profile_id, slot.delivery_id))
    got: set[UUID] = set()
    for key, people in sorted(alike.items()):
        shared = {f"the_{name}": value for name, value in zip(_SHARED, key, strict=True)}
        found = statement.rows(session, given.bind(sorted(people)) | shared)
        got.update([delivery_id for (delivery_id,) in found])
    return got


def reserve_limits(session: Session, limits: Sequence[Limit]) -> set[UUID]:
    """The same for mails that count under S8."""
    given, statement = _counting(dialect_of(session))
    ordered = sorted(limits, key=lambda limit: (limit.abuse_key, limit.number))
    return {delivery_id for (delivery_id,) in statement.rows(session, given.bind(ordered))}


@cache
def _taken_slots(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", profile_id=Uuid())
    statement = (
        select(SLOTS.c.profile_id, SLOTS.c.week_slot, SLOTS.c.day, SLOTS.c.day_slot)
        .join(given.table, SLOTS.c.profile_id == given.profile_id)
        .where(SLOTS.c.week == bindparam("this_week", type_=Date()))
    )
    return given, statement


def taken_slots(
    session: Session, profiles: Sequence[UUID], week: date
) -> list[tuple[UUID, int, date, int]]:
    """(profile, week slot, day, day slot) of a week."""
    given, statement = _taken_slots(dialect_of(session))
    parameters = given.bind([(profile,) for profile in profiles]) | {"this_week": week}
    return [tuple(row) for row in session.execute(statement, parameters)]


@cache
def _mails(dialect: Dialect) -> tuple[RowSet, Ready]:
    given = RowSet(dialect, "given", abuse_key=String())
    statement = select(
        LIMITS.c.abuse_key, LIMITS.c.number, LIMITS.c.sent_at, LIMITS.c.bait_id
    ).join(given.table, LIMITS.c.abuse_key == given.abuse_key)
    return given, Ready(statement)


def mails(
    session: Session, abuse_keys: Sequence[str]
) -> dict[str, list[tuple[int, datetime, UUID | None]]]:
    """(number, time, bait) of the mails that count, by abuse key."""
    given, statement = _mails(dialect_of(session))
    found: dict[str, list[tuple[int, datetime, UUID | None]]] = {}
    rows = statement.rows(session, given.bind([(key,) for key in abuse_keys]))
    for abuse_key, number, sent_at, bait_id in rows:
        found.setdefault(abuse_key, []).append((number, sent_at, bait_id))
    return found


def free(session: Session, asks: Sequence[Ask]) -> None:
    """Give back what was reserved for messages that were not sent."""
    dialect = dialect_of(session)
    given, statement = _freed_slots(dialect)
    capped = [(ask.profile_id, ask.id) for ask in asks if ask.profile_id is not None]
    if capped:
        session.execute(statement, given.bind(capped))
    given, statement = _freed_limits(dialect)
    session.execute(statement, given.bind([(ask.id,) for ask in asks]))


@cache
def _freed_slots(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", profile_id=Uuid(), delivery_id=Uuid())
    # a slot may stand under the profile that this one was merged into
    owner = select(given.profile_id).union(
        select(PROFILES.c.alias_of).join(given.table, PROFILES.c.id == given.profile_id)
    )
    messages = select(given.delivery_id)
    return given, delete(SLOTS).where(
        SLOTS.c.profile_id.in_(owner), SLOTS.c.delivery_id.in_(messages)
    )


@cache
def _freed_limits(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", delivery_id=Uuid())
    return given, delete(LIMITS).where(LIMITS.c.delivery_id.in_(select(given.delivery_id)))


class Outdated(NamedTuple):
    """Reservations to forget: (profile, week) of slots, (abuse key, number) of mails."""

    slots: list[tuple[UUID, date]]
    mails: list[tuple[str, int]]


def outdated(session: Session, before_day: date, before: datetime, most: int = 1000) -> Outdated:
    """Some of the reservations that are older."""
    slots = session.execute(
        select(SLOTS.c.profile_id, SLOTS.c.week).where(SLOTS.c.week < before_day).limit(most)
    )
    mails = session.execute(
        select(LIMITS.c.abuse_key, LIMITS.c.number).where(LIMITS.c.sent_at < before).limit(most)
    )
    return Outdated(
        [(row.profile_id, row.week) for row in slots],
        [(row.abuse_key, row.number) for row in mails],
    )


def forget(session: Session, old: Outdated) -> None:
    """Delete reservations."""
    for profile_id, week in dict.fromkeys(old.slots):
        session.execute(delete(SLOTS).where(SLOTS.c.profile_id == profile_id, SLOTS.c.week == week))
    for abuse_key, number in old.mails:
        session.execute(
            delete(LIMITS).where(LIMITS.c.abuse_key == abuse_key, LIMITS.c.number == number)
        )

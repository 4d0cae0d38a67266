"""Whose contact it is: finds the profile of each contact, or makes one, each contact once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from services.profile.base import Row, dialect_of, portions
from services.profile.people.identity import profile_id_of
from services.profile.people.person import CONTACTS
from services.profile.writing import insert_missing, insert_rows
from services.shared.database.arrays import among
from services.shared.events import Received
from services.shared.events.leads import LeadSubmitted

Lead = Received[LeadSubmitted]

_TRIES = 20


class ContactsTaken(Exception):
    """Other processes keep making profiles for the same contacts: handle the records again."""


@dataclass(slots=True)
class Owners:
    """Contact key → profile, as of this transaction."""

    profile_of: dict[str, UUID]
    target: dict[UUID, UUID] = field(default_factory=dict)
    """Lead → the profile that it goes to."""
    others: dict[UUID, list[UUID]] = field(default_factory=dict)
    """Lead → other profiles that its contacts belong to."""
    new_people: set[UUID] = field(default_factory=set)
    new_contacts: dict[UUID, list[Row]] = field(default_factory=dict)
    """Profile → its contacts that were not known before."""


def find(session: Session, keys: Iterable[str], likely: Iterable[UUID] = ()) -> dict[str, UUID]:
    """The profiles of those contact keys that are known.

    `likely`: profiles that some of them probably belong to. They are looked at first: profiles' ids grow with
    time, and those of a campaign stand near each other, while a key is a hash, on a page of its own.
    """
    wanted = set(keys)
    found: dict[str, UUID] = {}
    for people in portions(sorted(set(likely))):
        rows = session.execute(
            select(CONTACTS.c.contact_key, CONTACTS.c.profile_id).where(
                among(session, CONTACTS.c.profile_id, people)
            )
        )
        found.update((key, profile_id) for key, profile_id in rows if key in wanted)
    for portion in portions(sorted(wanted - found.keys())):
        rows = session.execute(
            select(CONTACTS.c.contact_key, CONTACTS.c.profile_id).where(
                among(session, CONTACTS.c.contact_key, portion)
            )
        )
        found.update((key, profile_id) for key, profile_id in rows)
    return found


def take(
    session: Session, leads: Sequence[Lead], more: Iterable[str], likely: Iterable[UUID] = ()
) -> Owners:
    """Give every lead its profile and take its new contacts; `more` are keys only to be looked up.

    `likely` are profiles that some of these probably belong to.

    Where another process takes one of the contacts meanwhile, what it did is seen and met.
    Raises `ContactsTaken`.
    """
    keys = {part.contact_key for lead in leads for part in lead.event.contacts}
    keys.update(more)
    for _ in range(_TRIES):
        owners = _assign(leads, find(session, keys, likely))
        rows = [row for contacts in owners.new_contacts.values() for row in contacts]
        if not rows:
            return owners
        if dialect_of(session) != "postgresql":
            insert_rows(session, CONTACTS, rows)  # one writer: nobody can come between
            return owners
        if _reserve(session, rows):
            return owners
    raise ContactsTaken("contacts of this batch are being taken by another process")


def _reserve(session: Session, rows: list[Row]) -> bool:
    """Insert all of the contacts or none. Waits for whoever is inserting the same one now."""
    with session.begin_nested() as savepoint:
        ordered = sorted(rows, key=itemgetter("contact_key"))
        if insert_missing(session, CONTACTS, ordered) == len(rows):
            return True
        savepoint.rollback()
        return False


def _assign(leads: Sequence[Lead], known: dict[str, UUID]) -> Owners:
    owners = Owners(known)
    for lead in leads:
        event = lead.event
        found = [known[p.contact_key] for p in event.contacts if p.contact_key in known]
        if found:
            target = found[0]
        else:
            target = profile_id_of(event.lead_id, lead.occurred_at)
            owners.new_people.add(target)
        owners.target[event.lead_id] = target
        others = list(dict.fromkeys(owner for owner in found if owner != target))
        if others:
            owners.others[event.lead_id] = others
        for part in event.contacts:
            if part.contact_key not in known:
                known[part.contact_key] = target
                contacts = owners.new_contacts.setdefault(target, [])
                contacts.append(
                    {
                        "contact_key": part.contact_key,
                        "profile_id": target,
                        "position": len(contacts),
                        "channel": part.channel.value,
                        "account": part.account,
                        "address": part.address,
                        "identity": part.identity,
                        "abuse_key": part.abuse_key,
                        "added_at": lead.occurred_at,
                        "verified_at": None,
                        "provenance": None,
                    }
                )
    return owners

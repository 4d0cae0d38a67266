"""A person as a transaction sees them: rows in memory, changed there, written together at the end."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from services.profile.base import Row, portions, table_of
from services.profile.consent.models import Consent
from services.profile.people.identity import known_zone, zone_of_phones
from services.profile.people.models import FieldValue, Profile, ProfileContact, Tag
from services.profile.people.values import comparable
from services.shared.database.arrays import among
from services.shared.events.parts import ConsentPart, ProfileContactPart

PROFILES, CONTACTS = table_of(Profile), table_of(ProfileContact)
FIELDS, TAGS, CONSENTS = table_of(FieldValue), table_of(Tag), table_of(Consent)

SAID_ZONE = "timezone"
"""The name of the field by which a person says their time zone."""

_OF_CONTACT = tuple(ProfileContactPart.model_fields)
_OF_CONSENT = tuple(name for name in ConsentPart.model_fields if name != "contact_key")

_POSITION = itemgetter("added_at", "position")


def _withdrawn_last(row: Row) -> tuple[bool, str, str, str]:
    return (not row["given"], row["purpose"], row["channel"], row["contact_key"])


@dataclass(slots=True)
class Person:
    """A profile's state. `changed`: others have to be told."""

    profile: Row
    new: bool = False
    changed: bool = False
    contacts: dict[str, Row] = field(default_factory=dict)
    fields: dict[tuple[str, str], Row] = field(default_factory=dict)
    consents: dict[tuple[str, str, str], Row] = field(default_factory=dict)
    tags: dict[str, Row] = field(default_factory=dict)

    @property
    def id(self) -> UUID:
        value: UUID = self.profile["id"]
        return value

    def channels(self) -> list[str]:
        """The channels of the person's contacts, each once."""
        return list(dict.fromkeys(row["channel"] for row in self.contacts.values()))

    def put_value(self, name: str, value: Any, kind: str, source: str, at: datetime) -> list[Row]:
        """Take a value; the rows to write. Per source the latest stays, over all sources the newest counts."""
        known = self.fields.get((name, source))
        if known is not None and known["at"] > at:
            return []
        text, number = comparable(kind, value)
        row: Row = {
            "profile_id": self.id,
            "name": name,
            "source": source,
            "value": value,
            "type": kind,
            "at": at,
            "newest": True,
            "text_value": text,
            "number_value": number,
        }
        self.fields[(name, source)] = row
        written = [row]
        for (other_name, other_source), other in self.fields.items():
            if other_name == name and other_source != source and other["newest"]:
                stale = other if other["at"] <= at else row
                stale |= {"newest": False, "text_value": None, "number_value": None}
                if stale is other:
                    written.append(other)
        self.changed = True
        return written

    def values(self) -> dict[str, Any]:
        """The newest value of every field."""
        return {row["name"]: row["value"] for row in self.fields.values() if row["newest"]}

    def settle_zone(self) -> None:
        """Said by the person, else the region of a phone, else None: the installation's."""
        if not self.fields and not self.contacts:
            return
        said = next(
            (r["value"] for r in self.fields.values() if r["name"] == SAID_ZONE and r["newest"]),
            None,
        )
        zone = known_zone(said) if isinstance(said, str) else None
        if zone is None:
            zone = zone_of_phones(
                row["identity"] for row in self.contacts.values() if row["channel"] == "phone"
            )
        self.profile["timezone"] = zone

    def state(self) -> Row:
        """What others may know, as of the present revision: the fields of a `ProfileState`."""
        profile = self.profile
        contacts, consents = list(self.contacts.values()), list(self.consents.values())
        if len(contacts) > 1:
            contacts.sort(key=_POSITION)
        if len(consents) > 1:
            consents.sort(key=_withdrawn_last)
        return {
            "profile_id": profile["id"],
            "revision": profile["revision"],
            "language": profile["language"],
            "timezone": profile["timezone"],
            "contacts": [{name: row[name] for name in _OF_CONTACT} for row in contacts],
            "consents": [
                {name: row[name] for name in _OF_CONSENT}
                | {"contact_key": row["contact_key"] or None}
                for row in consents
            ],
            "fields": self.values(),
            "tags": sorted(self.tags),
            "created_at": profile["created_at"],
            "changed_at": profile["changed_at"],
        }


def load(session: Session, ids: Iterable[UUID]) -> dict[UUID, Person]:
    """The people with these ids, whole, locked until the transaction ends."""
    people: dict[UUID, Person] = {}
    for portion in portions(sorted(set(ids))):
        locked = session.execute(
            select(PROFILES)
            .where(among(session, PROFILES.c.id, portion))
            .order_by(PROFILES.c.id)
            .with_for_update()
        )
        for found in locked.mappings():
            people[found["id"]] = Person(dict(found))
        for table, key in (
            (CONTACTS, lambda r: r["contact_key"]),
            (FIELDS, lambda r: (r["name"], r["source"])),
            (CONSENTS, lambda r: (r["purpose"], r["channel"], r["contact_key"])),
            (TAGS, lambda r: r["tag"]),
        ):
            _attach(session, people, portion, table, key)
    return people


def _attach(
    session: Session, people: dict[UUID, Person], portion: list[UUID], table: Any, key: Any
) -> None:
    shelf = {CONTACTS: "contacts", FIELDS: "fields", CONSENTS: "consents", TAGS: "tags"}[table]
    rows = session.execute(select(table).where(among(session, table.c.profile_id, portion)))
    for found in rows.mappings():
        person = people.get(found["profile_id"])
        if person is not None:
            row = dict(found)
            getattr(person, shelf)[key(row)] = row

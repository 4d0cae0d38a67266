"""What a lead leaves on its profile: contacts, language, values, tags, consents, an entry."""

from typing import Any
from uuid import UUID

from services.profile.consent import rules
from services.profile.consent.rules import Saying
from services.profile.leads.batch import Batch
from services.profile.leads.owners import Lead, Owners
from services.profile.people.person import Person
from services.shared.events.leads import LeadSubmitted
from services.shared.events.profiles import ProfileLeadAccepted
from services.shared.ids import derived


def take_lead(batch: Batch, owners: Owners, lead: Lead) -> None:
    """Put a lead on its profile, which is made when it is new."""
    event = lead.event
    person_id = owners.target[event.lead_id]
    person = batch.people.get(person_id)
    new = person is None
    if person is None:
        person = _new_person(person_id, lead, batch)
    for row in owners.new_contacts.pop(person_id, ()):
        person.contacts[row["contact_key"]] = row
        person.changed = True
    person.profile["lead_count"] += 1
    batch.counted.add(person_id)
    batch.correlations[person_id] = lead.correlation_id
    _take_content(batch, person, lead)
    _record(batch, owners, lead, person_id)
    accepted = {
        "profile_id": person_id,
        "lead_id": event.lead_id,
        "bait_id": event.bait_id,
        "contact_keys": [part.contact_key for part in event.contacts],
        "new": new,
    }
    accepted_id = derived("profile.lead_accepted", event.lead_id)
    batch.say(ProfileLeadAccepted, accepted, accepted_id, person_id, lead.correlation_id)


def _record(batch: Batch, owners: Owners, lead: Lead, person_id: UUID) -> None:
    event, at = lead.event, lead.occurred_at
    batch.timeline.append(
        {
            "profile_id": person_id,
            "event_id": lead.id,
            "at": at,
            "kind": event.kind,
            "document": _lead_document(event),
        }
    )
    batch.handled.append(
        {
            "lead_id": event.lead_id,
            "profile_id": person_id,
            "bait_id": event.bait_id,
            "bait_slug": event.bait_slug,
            "at": at,
        }
    )
    for other in owners.others.get(event.lead_id, ()):
        batch.candidates.append(
            {"profile_id": person_id, "other_id": other, "lead_id": event.lead_id, "at": at}
        )


def _new_person(person_id: UUID, lead: Lead, batch: Batch) -> Person:
    person = Person(
        {
            "id": person_id,
            "revision": 0,
            "language": lead.event.language,
            "language_at": lead.occurred_at,
            "timezone": None,
            "lead_count": 0,
            "created_at": lead.occurred_at,
            "changed_at": batch.now,
        },
        new=True,
        changed=True,
    )
    batch.people[person_id] = person
    return person


def _take_content(batch: Batch, person: Person, lead: Lead) -> None:
    """Language, values, tags and consents of a lead."""
    event, at, profile = lead.event, lead.occurred_at, person.profile
    source = f"bait:{event.bait_slug}"
    if at >= profile["language_at"]:
        person.changed = person.changed or event.language != profile["language"]
        profile["language"], profile["language_at"] = event.language, at
    for name, value in event.fields.items():
        if value is not None:
            kind = event.field_types.get(name, "text")
            batch.values += person.put_value(name, value, kind, source, at)
    for tag in event.tags:
        if tag not in person.tags:
            row = {"profile_id": person.id, "tag": tag, "source": source, "at": at}
            person.tags[tag] = row
            batch.tags.append(row)
            person.changed = True
    for number in range(len(event.consents)):
        saying = _saying_of(lead, number)
        effective, rows = rules.typed(person, saying)
        batch.consents += rows
        batch.entries.append(saying.entry(person.id, effective=effective))


def _saying_of(lead: Lead, number: int) -> Saying:
    event = lead.event
    part = event.consents[number]
    contact_key = next((c.contact_key for c in event.contacts if c.channel == part.channel), "")
    return Saying(
        id=derived("consent", event.lead_id, number),
        purpose=part.purpose,
        channel=part.channel.value,
        given=part.given,
        text_version=part.text_version,
        at=part.at,
        source=part.source,
        contact_key=part.contact_key or contact_key,
        proof=_proof(event),
        lead_id=event.lead_id,
    )


def _proof(event: LeadSubmitted) -> dict[str, Any]:
    proof = event.proof
    return {
        "form_version": proof.form_version,
        "language": proof.language,
        "ip_hash": proof.ip_hash,
        "way": proof.way,
        "bait": event.bait_slug,
        "bait_version": event.bait_version,
    }


def _lead_document(event: LeadSubmitted) -> dict[str, Any]:
    return {
        "lead_id": str(event.lead_id),
        "bait_id": str(event.bait_id),
        "bait": event.bait_slug,
        "bait_version": event.bait_version,
        "way": event.proof.way,
        "channels": [part.channel.value for part in event.contacts],
        **{name: value for name, value in event.source if value is not None},
    }

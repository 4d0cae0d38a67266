"""What others say of people, taken into push's own view of whom it may reach."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.push.deliveries import repository as deliveries
from services.push.mailbox import repository as mailbox
from services.push.reach import repository, suppressing
from services.push.reach.repository import Contact, Person
from services.push.reach.zones import zone_of_person
from services.shared.clock import Clock
from services.shared.events import Event, Received, Tombstone
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.events.parts import (
    ConsentPart,
    ProfileContactPart,
    ProfileState,
    is_agreement,
)
from services.shared.events.profiles import ProfileChanged, ProfileErased, ProfileMerged
from services.shared.runner.consumer import Handler

TOPICS = ("profiles", "profile-events", "engagements")
MARKETING = "marketing"


def handlers(clock: Clock) -> Mapping[type[Event], Handler]:
    """The handlers of this noun."""

    def deleted(session: Session, received: Sequence[Received[Any]]) -> None:
        ids = [UUID(item.key) for item in received if item.record.topic == "profiles"]
        _forget(session, ids, clock.now())

    return {
        ProfileChanged: on_changed,
        ProfileErased: on_erased,
        ProfileMerged: on_merged,
        EngagementUnsubscribed: on_unsubscribed,
        Tombstone: deleted,
    }


def on_changed(session: Session, received: Sequence[Received[ProfileChanged]]) -> None:
    """Take the newest state of each profile; old revisions are skipped."""
    newest: dict[UUID, ProfileState] = {}
    for item in received:
        state = item.event.state
        known = newest.get(state.profile_id)
        if known is None or known.revision < state.revision:
            newest[state.profile_id] = state
    states = list(newest.values())
    people = [_person(state) for state in states]
    contacts = [contact for state in states for contact in _contacts(state)]
    newer = repository.accept(session, people, contacts)
    _lift(session, [contact for contact in contacts if contact.profile_id in newer])


def on_erased(session: Session, received: Sequence[Received[ProfileErased]]) -> None:
    """Forget people, and whatever of theirs was still to be sent."""
    for item in received:
        keys = item.event.contact_keys
        suppressing.suppress(session, keys, "erased", item.occurred_at)
        deliveries.scrub(session, keys)
        _forget(session, [item.event.profile_id], item.occurred_at)


def on_merged(session: Session, received: Sequence[Received[ProfileMerged]]) -> None:
    """Count two profiles as one person from now on."""
    for item in received:
        repository.merge(session, item.event.merged_id, item.event.profile_id)


def on_unsubscribed(session: Session, received: Sequence[Received[EngagementUnsubscribed]]) -> None:
    """Stop marketing to these contacts."""
    for item in received:
        unsubscribe(session, item.event.contact_key, item.event.delivery_id, item.occurred_at)


def unsubscribe(
    session: Session, contact_key: str | None, delivery_id: UUID | None, at: datetime
) -> bool:
    """Stop marketing to a contact, named or by a delivery to it; False when neither is known.

    The news of it may come late: whoever agreed again after `at` stays.
    """
    planned = deliveries.planned_for(session, delivery_id) if delivery_id is not None else None
    key = contact_key
    if planned is not None:
        # nobody leaves before the message was planned: by a clock set back they would, and an older
        # agreement would outlast their word
        key, at = key or planned[0], max(at, planned[1])
    if key is None:
        return False
    agreed = repository.agreed_at(session, key)
    if agreed is None or agreed <= at:
        suppressing.suppress(session, [key], "unsubscribed", at)
    return True


def _forget(session: Session, profile_ids: Sequence[UUID], at: datetime) -> None:
    if profile_ids:
        mailbox.forget(session, repository.erase(session, profile_ids, at))


def _person(state: ProfileState) -> Person:
    zone = zone_of_person(state.timezone, state.contacts)
    fields = json.dumps(state.fields, ensure_ascii=False)
    return Person(state.profile_id, state.revision, state.language, zone, fields)


def _contacts(state: ProfileState) -> list[Contact]:
    contacts = []
    for contact in state.contacts:
        said = _marketing(state.consents, contact)
        newest = max(said, key=lambda consent: consent.at, default=None)
        contacts.append(
            Contact(
                contact.contact_key,
                state.profile_id,
                contact.channel.value,
                contact.account,
                contact.address,
                contact.abuse_key,
                contact.verified_at,
                contact.provenance,
                newest.given if newest else None,
                _agreed_at(said, contact.verified_at),
            )
        )
    return contacts


def _marketing(consents: Sequence[ConsentPart], contact: ProfileContactPart) -> list[ConsentPart]:
    """What was said on marketing to a contact: about it, or about its channel."""
    return [
        consent
        for consent in consents
        if consent.purpose == MARKETING
        and consent.channel == contact.channel
        and consent.contact_key in (None, contact.contact_key)
    ]


def _agreed_at(said: Sequence[ConsentPart], verified_at: datetime | None) -> datetime | None:
    agreed = (c.at for c in said if is_agreement(c.given, c.source, c.at, verified_at))
    return max(agreed, default=None)


def _lift(session: Session, contacts: Sequence[Contact]) -> None:
    """Who unsubscribed and then agreed again by their own word is back.

    A stranger may type an address and tick the box: that is nobody's word until it is verified.
    """
    agreed = {
        contact.contact_key: contact.agreed_at
        for contact in contacts
        if contact.marketing and contact.agreed_at is not None
    }
    if not agreed:
        return
    for key, gone in repository.unsubscribed_at(session, list(agreed)).items():
        if agreed[key] > gone:
            suppressing.lift(session, key, "unsubscribed", agreed[key])

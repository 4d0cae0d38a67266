"""Notes: what outcomes, engagements and capture tell about a person, in one form."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.profile.base import Row
from services.shared.events import Received
from services.shared.events.engagements import (
    Engagement,
    EngagementClicked,
    EngagementConverted,
    EngagementInquired,
    EngagementUnsubscribed,
)
from services.shared.events.leads import LeadOpened, LeadVerified
from services.shared.events.push import Outcome
from services.shared.ids import derived

_NOBODY = frozenset({"notice", "test"})
"""Causes of messages that go to staff, not to a person."""

REFUNDED = "refunded"

FACTS = {
    "lead.opened": "opened",
    "engagement.displayed": "displayed",
    "engagement.clicked": "clicked",
    "engagement.inquired": "inquired",
    "engagement.converted": "converted",
    "engagement.unsubscribed": "unsubscribed",
}
"""The kinds of note that count as behaviour in segments, by the words that rules use."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to put on a person's timeline. `document` is what the timeline keeps of it."""

    event_id: UUID
    kind: str
    at: datetime
    contact_key: str | None
    profile_id: UUID | None
    document: dict[str, Any]

    @property
    def lead_id(self) -> UUID | None:
        lead_id = self.document.get("lead_id")
        return UUID(lead_id) if lead_id else None

    def timeline_row(self, profile_id: UUID) -> Row:
        return {
            "profile_id": profile_id,
            "event_id": self.event_id,
            "at": self.at,
            "kind": self.kind,
            "document": self.document,
        }

    def fact_row(self, profile_id: UUID) -> Row | None:
        """What segments may ask about; None when it is no behaviour."""
        kind = FACTS.get(self.kind)
        if kind is None:
            return None
        return {
            "profile_id": profile_id,
            "kind": kind,
            "fact_id": self.fact_id,
            "at": self.at,
            "bait_id": _uuid(self.document.get("bait_id")),
            "campaign_id": _uuid(self.document.get("campaign_id")),
        }

    @property
    def fact_id(self) -> UUID:
        order = self.document.get("order_id")
        return derived("order", self.document.get("source"), order) if order else self.event_id

    @property
    def refund(self) -> bool:
        return self.document.get("state") == REFUNDED

    def as_document(self) -> Row:
        """For the waiting table."""
        return {
            "kind": self.kind,
            "at": self.at.isoformat(),
            "profile_id": str(self.profile_id) if self.profile_id else None,
            "document": self.document,
        }

    @classmethod
    def from_document(cls, event_id: UUID, contact_key: str, kept: Row) -> "Note":
        return cls(
            event_id=event_id,
            kind=kept["kind"],
            at=datetime.fromisoformat(kept["at"]),
            contact_key=contact_key,
            profile_id=_uuid(kept["profile_id"]),
            document=kept["document"],
        )


@dataclass(frozen=True, slots=True)
class Retraction:
    """A note that was told and is not true: a click of a machine, taken for a person's."""

    event_id: UUID
    kind: str
    contact_key: str | None
    profile_id: UUID | None


def retraction_of(received: Received[Any]) -> Retraction | None:
    """What an event takes back; None for nearly all."""
    event = received.event
    if not (isinstance(event, EngagementClicked) and event.reclassified):
        return None
    told = derived(
        event.kind, event.engagement_id, "event"
    )  # as metrics names an engagement's event
    return Retraction(told, FACTS[event.kind], event.contact_key, event.profile_id)


def note_of(received: Received[Any]) -> Note | None:
    """The note of an event; None for what says nothing about a person (robots, mail to staff)."""
    event = received.event
    if isinstance(event, LeadVerified | LeadOpened):
        document = {"lead_id": str(event.lead_id), "bait_id": str(event.bait_id)}
        return Note(
            received.id, event.kind, received.occurred_at, event.contact_key, None, document
        )
    if isinstance(event, Outcome):
        if event.cause.kind in _NOBODY:
            return None
        document = _of_outcome(event)
    elif isinstance(event, Engagement):
        if event.machine:
            return None
        document = _kept(event, ("delivery_id", "campaign_id", "bait_id", "channel"))
        document |= _details(event)
    else:
        return None
    return Note(
        received.id,
        event.kind,
        received.occurred_at,
        event.contact_key,
        event.profile_id,
        document,
    )


def _of_outcome(event: Outcome) -> Row:
    """Written out: there is one for each mail."""
    document: Row = {"delivery_id": str(event.delivery_id)}
    if event.campaign_id is not None:
        document["campaign_id"] = str(event.campaign_id)
    if event.bait_id is not None:
        document["bait_id"] = str(event.bait_id)
    document["channel"] = event.channel
    document["cause"] = event.cause.kind
    if event.reason is not None:
        document["reason"] = event.reason
    if event.code is not None:
        document["code"] = event.code
    return document


def _details(event: Engagement) -> Row:
    if isinstance(event, EngagementClicked):
        return {"link": event.link, "url": event.url[:500]}
    if isinstance(event, EngagementInquired):
        return _kept(event, ("source", "subject"))
    if isinstance(event, EngagementConverted):
        return _kept(event, ("source", "order_id", "state", "amount", "currency"))
    if isinstance(event, EngagementUnsubscribed):
        return {"way": event.way}
    return {}


def _kept(event: Any, names: tuple[str, ...]) -> Row:
    values = ((name, getattr(event, name)) for name in names)
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in values
        if value is not None
    }


def _uuid(text: str | None) -> UUID | None:
    return UUID(text) if text else None

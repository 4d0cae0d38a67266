"""What metrics says of an engagement, once it knows what to make of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from services.metrics.funnel.stages import Raw
from services.shared.events import Message, encode, envelope
from services.shared.events.engagements import (
    Engagement,
    EngagementClicked,
    EngagementConverted,
    EngagementDisplayed,
    EngagementInquired,
    EngagementUnsubscribed,
)
from services.shared.ids import derived, derived_text

DISPLAYED, CLICKED, UNSUBSCRIBED = (
    EngagementDisplayed.kind,
    EngagementClicked.kind,
    EngagementUnsubscribed.kind,
)
INQUIRED, CONVERTED = EngagementInquired.kind, EngagementConverted.kind

TRACKED = frozenset({DISPLAYED, CLICKED})
REPORTED = frozenset({INQUIRED, CONVERTED, UNSUBSCRIBED})

_MODELS: dict[str, type[Engagement]] = {
    model.kind: model
    for model in (
        EngagementDisplayed,
        EngagementClicked,
        EngagementInquired,
        EngagementConverted,
        EngagementUnsubscribed,
    )
}


def message_of(raw: Raw) -> Message:
    """The event of a counted engagement. Its id follows from the engagement's."""
    return message_about(raw, raw.contact_key, raw.profile_id)


def message_about(raw: Raw, contact_key: str | None, profile_id: UUID | None) -> Message:
    """The same for one whose person stands elsewhere."""
    document: dict[str, Any] = raw.document or {}
    values: dict[str, Any] = {
        "engagement_id": raw.id,
        "delivery_id": _delivery_of(raw),
        "campaign_id": raw.campaign_id,
        "bait_id": raw.bait_id,
        "profile_id": profile_id,
        "contact_key": contact_key,
        "channel": raw.channel or None,
        "machine": raw.machine,
        "machine_reason": raw.reason if raw.machine else None,
    }
    if raw.kind == CLICKED:
        values |= {"link": document["link"], "url": document["url"], "reclassified": False}
    elif raw.kind == INQUIRED:
        values |= {"source": document["source"], "subject": document.get("subject")}
    elif raw.kind == CONVERTED:
        values |= {
            "source": document["source"],
            "order_id": document["order_id"],
            "state": document["state"],
            "amount": raw.amount,
            "currency": raw.currency or None,
        }
    elif raw.kind == UNSUBSCRIBED:
        values |= {"way": document["way"]}
    # our own rows: no model is made of them, which would cost as much as counting them
    event_id = derived_text(raw.kind, raw.id, "event")
    return envelope.message_of(
        _MODELS[raw.kind],
        to_json(values),
        event_id=event_id,
        key=contact_key or event_id,
        occurred_at=raw.occurred_at,
        source="metrics",
    )


def correction_of(raw: Raw, contact_key: str | None, profile_id: UUID | None) -> Message:
    """The event of a click that was said as a person's and is a machine's, with whose it was."""
    document: dict[str, Any] = raw.document or {}
    event = EngagementClicked.model_construct(
        engagement_id=raw.id,
        delivery_id=raw.subject,
        campaign_id=raw.campaign_id,
        bait_id=raw.bait_id,
        profile_id=profile_id,
        contact_key=contact_key,
        channel=raw.channel or None,
        machine=True,
        machine_reason=raw.reason,
        link=document["link"],
        url=document["url"],
        reclassified=True,
    )
    return encode_at(event, raw.occurred_at, "reclassified")


def _delivery_of(raw: Raw) -> UUID | None:
    """The delivery that gets the credit; of what was tracked, the subject itself."""
    if raw.kind in TRACKED:
        return raw.subject
    credited = (raw.document or {}).get("delivery_id")
    return UUID(credited) if credited else None


def encode_at(event: Engagement, at: datetime, *more: object) -> Message:
    """The message of an engagement; `more` tells apart events of the same engagement."""
    event_id = derived(event.kind, event.engagement_id, "event", *more)
    return encode(
        event,
        event_id=event_id,
        key=event.contact_key or str(event_id),
        occurred_at=at,
        source="metrics",
    )

"""What push says of deliveries: one event of topic `outcomes` per change that others care for."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from pydantic_core import to_json

from services.push.deliveries.repository import Claimed
from services.push.deliveries.states import State
from services.shared.events import Message, message_of
from services.shared.events.push import (
    Outcome,
    PushDropped,
    PushFailed,
    PushHeld,
    PushSent,
    PushUnknown,
)
from services.shared.ids import derived

_EVENTS: dict[str, type[Outcome]] = {
    State.SENT: PushSent,
    State.FAILED: PushFailed,
    State.HELD: PushHeld,
    State.DROPPED: PushDropped,
    State.UNKNOWN: PushUnknown,
}

Said = tuple[Claimed, str, str | None, str | None, int]
"""A delivery, its new state, reason, the provider's code, and the attempts spent."""


def event_id(delivery_id: UUID, state: str, attempt: int) -> UUID:
    """The id that follows from (delivery, state, attempt)."""
    return derived("push", state, delivery_id, attempt)


def outcomes(said: Iterable[Said], names: Mapping[UUID, str], now: datetime) -> list[Message]:
    """The messages for the changes that have an event. `names` are the campaigns'."""
    messages = []
    for row, state, reason, code, attempt in said:
        kind = _EVENTS.get(state)
        if kind is None:
            continue
        # written without the model, which would cost more than all else that is said of a mail
        value = to_json(
            {
                "delivery_id": row.id,
                "cause": {"kind": row.cause_kind, "id": row.cause_id},
                "campaign_id": row.campaign_id,
                "campaign_name": names.get(row.campaign_id) if row.campaign_id else None,
                "bait_id": row.bait_id,
                "profile_id": row.profile_id,
                "contact_key": row.contact_key,
                "channel": row.channel,
                "reason": reason,
                "code": code,
            }
        )
        messages.append(
            message_of(
                kind,
                value,
                event_id=event_id(row.id, state, attempt),
                key=row.contact_key,
                occurred_at=now,
                source="push",
            )
        )
    return messages

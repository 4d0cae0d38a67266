"""What push says of deliveries: one event of topic `outcomes` per change that others care for."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
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
    PushSentTogether,
    PushUnknown,
)
from services.shared.ids import derived_beside

_EVENTS: dict[str, type[Outcome]] = {
    State.SENT: PushSent,
    State.FAILED: PushFailed,
    State.HELD: PushHeld,
    State.DROPPED: PushDropped,
    State.UNKNOWN: PushUnknown,
}

_MOST = 200
"""So many messages are said together at most: who reads it handles a record in one turn."""

Said = tuple[Claimed, str, str | None, str | None, int]
"""A delivery, its new state, reason, the provider's code, and the attempts spent."""


def event_id(delivery_id: UUID, state: str, attempt: int) -> UUID:
    """The id that follows from (delivery, state, attempt), in the order of the deliveries."""
    return derived_beside(delivery_id, "push", state, attempt)


def outcomes(said: Iterable[Said], names: Mapping[UUID, str], now: datetime) -> list[Message]:
    """The messages for the changes that have an event. `names` are the campaigns'.

    What was sent of one campaign is said together: an event of each would cost more than the mail.
    """
    messages = []
    together: dict[tuple[Any, ...], list[Said]] = {}
    for one in said:
        row, state = one[:2]
        if state == State.SENT and _tells_all(one):
            together.setdefault((row.campaign_id, row.cause_id, row.channel), []).append(one)
        elif state in _EVENTS:
            messages.append(_alone(one, names, now))
    for ones in together.values():
        for start in range(0, len(ones), _MOST):
            part = ones[start : start + _MOST]
            say = _sent(part, names, now) if len(part) > 1 else _alone(part[0], names, now)
            messages.append(say)
    return messages


def _tells_all(said: Said) -> bool:
    """Whether `push.sent_together` has a place for everything that is said."""
    row, _, reason, _, _ = said
    told = row.cause_kind == "campaign" and row.campaign_id is not None
    return told and row.bait_id is None and reason is None


def _sent(said: Sequence[Said], names: Mapping[UUID, str], now: datetime) -> Message:
    row, _, _, _, attempt = said[0]
    value = to_json(
        {
            "cause": {"kind": row.cause_kind, "id": row.cause_id},
            "campaign_id": row.campaign_id,
            "campaign_name": names.get(row.campaign_id) if row.campaign_id else None,
            "channel": row.channel,
            "sent": [
                (event_id(one.id, state, tries), one.id, one.profile_id, one.contact_key, code)
                for one, state, _, code, tries in said
            ],
        }
    )
    return message_of(
        PushSentTogether,
        value,
        event_id=event_id(row.id, "sent_together", attempt),
        key=row.contact_key,
        occurred_at=now,
        source="push",
    )


def _alone(said: Said, names: Mapping[UUID, str], now: datetime) -> Message:
    row, state, reason, code, attempt = said
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
    return message_of(
        _EVENTS[state],
        value,
        event_id=event_id(row.id, state, attempt),
        key=row.contact_key,
        occurred_at=now,
        source="push",
    )

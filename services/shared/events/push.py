"""What is asked of push and what push says. Topics `push-requests` and `outcomes`; key: contact key."""

from collections.abc import Iterator
from typing import Literal
from uuid import UUID

from services.shared.events.envelope import Event
from services.shared.events.parts import CausePart, ContactPart


class PushRequested(Event):
    """A wish for one message. `template` names one of push's built-in messages.

    `values` are its variables; nothing in them may come from the text of a visitor.
    """

    kind = "push.requested"
    topic = "push-requests"

    cause: CausePart
    contact: ContactPart
    template: Literal["bait_mail", "lead_notice"]
    language: str
    values: dict[str, str]
    bait_id: UUID | None = None
    verified: bool = False


class Outcome(Event):
    """Something became of a delivery."""

    topic = "outcomes"

    delivery_id: UUID
    cause: CausePart
    campaign_id: UUID | None = None
    campaign_name: str | None = None
    bait_id: UUID | None = None
    profile_id: UUID | None = None
    contact_key: str
    channel: str
    reason: str | None = None
    code: str | None = None


class PushSent(Outcome):
    """The channel accepted the message."""

    kind = "push.sent"


Sent = tuple[UUID, UUID, UUID | None, str, str | None]
"""Of one message: the event's id, the delivery, the profile, the contact key, the provider's code."""


class PushSentTogether(Event):
    """The channel accepted several messages of a campaign: a `push.sent` of each. `sent` lists id, delivery, profile, contact key, code.

    The record's key is the first contact's: what comes of one of the others later may overtake it.
    """

    kind = "push.sent_together"
    topic = "outcomes"

    cause: CausePart
    campaign_id: UUID
    campaign_name: str | None = None
    channel: str
    sent: tuple[Sent, ...]

    def parts(self) -> Iterator[tuple[UUID, str, Event]]:
        like = PushSent(
            delivery_id=UUID(int=0),
            contact_key="",
            cause=self.cause,
            campaign_id=self.campaign_id,
            campaign_name=self.campaign_name,
            channel=self.channel,
        )
        for event_id, delivery_id, profile_id, contact_key, code in self.sent:
            own = {
                "delivery_id": delivery_id,
                "profile_id": profile_id,
                "contact_key": contact_key,
                "code": code,
            }
            yield event_id, contact_key, like.model_copy(update=own)


class PushFailed(Outcome):
    """The channel refused it for good."""

    kind = "push.failed"


class PushHeld(Outcome):
    """It waits, for the reason given."""

    kind = "push.held"


class PushDropped(Outcome):
    """It will not be sent, for the reason given."""

    kind = "push.dropped"


class PushUnknown(Outcome):
    """Nobody can say whether it was sent. It is not sent again by itself."""

    kind = "push.unknown"


class PushDelivered(Outcome):
    """A receipt says that it arrived."""

    kind = "push.delivered"


class PushBounced(Outcome):
    """It was accepted and came back."""

    kind = "push.bounced"


class PushComplained(Outcome):
    """The person called it spam."""

    kind = "push.complained"

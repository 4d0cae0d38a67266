"""What metrics says people did. Topic `engagements`; key: contact key, or the event's id where none is known."""

from typing import Literal
from uuid import UUID

from services.shared.events.envelope import Event


class Engagement(Event):
    """A person (or, when `machine`, a robot in their name) did something."""

    topic = "engagements"

    engagement_id: UUID
    delivery_id: UUID | None = None
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    profile_id: UUID | None = None
    contact_key: str | None = None
    channel: str | None = None
    machine: bool = False
    machine_reason: str | None = None


class EngagementDisplayed(Engagement):
    """A message was drawn (its pixel was fetched)."""

    kind = "engagement.displayed"


class EngagementClicked(Engagement):
    """A tracked link was followed. `link` is its number in the message.

    `reclassified`: the same engagement was said before as a person's; it turned out to be a machine's.
    """

    kind = "engagement.clicked"

    link: int
    url: str
    reclassified: bool = False


class EngagementInquired(Engagement):
    """The person asked about something; reported by the shop or the call centre."""

    kind = "engagement.inquired"

    source: str
    subject: str | None = None


class EngagementConverted(Engagement):
    """The person bought; or, when `state` is refunded, got the money back."""

    kind = "engagement.converted"

    source: str
    order_id: str
    state: Literal["paid", "refunded"]
    amount: int | None = None
    currency: str | None = None


class EngagementUnsubscribed(Engagement):
    """The person left: no more marketing over this channel."""

    kind = "engagement.unsubscribed"

    way: Literal["one_click", "page", "reported"]

"""What profile reads from the log. One handler takes all, so that a batch is one unit whatever its mix."""

from services.profile.leads.intake import Intake
from services.shared.events.engagements import (
    EngagementClicked,
    EngagementConverted,
    EngagementDisplayed,
    EngagementInquired,
    EngagementUnsubscribed,
)
from services.shared.events.leads import LeadOpened, LeadSubmitted, LeadVerified
from services.shared.events.push import (
    PushBounced,
    PushComplained,
    PushDelivered,
    PushDropped,
    PushFailed,
    PushHeld,
    PushSent,
    PushUnknown,
)
from services.shared.runner.consumer import ConsumerSpec

READ = (
    LeadSubmitted,
    LeadVerified,
    LeadOpened,
    PushSent,
    PushFailed,
    PushHeld,
    PushDropped,
    PushUnknown,
    PushDelivered,
    PushBounced,
    PushComplained,
    EngagementDisplayed,
    EngagementClicked,
    EngagementInquired,
    EngagementConverted,
    EngagementUnsubscribed,
)


def consumer(intake: Intake) -> ConsumerSpec:
    """Profile's consumer."""
    return ConsumerSpec(
        name="profile",
        topics=("leads", "outcomes", "engagements"),
        handlers=dict.fromkeys(READ, intake.handle),
    )

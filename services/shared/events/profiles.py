"""What profile says. Topics `profiles` (compacted) and `profile-events`; key: profile id."""

from uuid import UUID

from services.shared.events.envelope import Event
from services.shared.events.parts import ProfileState


class ProfileChanged(Event):
    """The full new state of a profile. A lower or equal revision than the one known is old news."""

    kind = "profile.changed"
    topic = "profiles"

    state: ProfileState


class LogMarker(Event):
    """A daily mark that makes a quiet partition's segments roll. Everybody skips it."""

    kind = "log.marker"
    topic = "profiles"

    day: str


class ProfileLeadAccepted(Event):
    """A lead has found its profile, a new or a known one."""

    kind = "profile.lead_accepted"
    topic = "profile-events"

    profile_id: UUID
    lead_id: UUID
    bait_id: UUID
    contact_keys: tuple[str, ...]
    new: bool


class ProfileMerged(Event):
    """Two profiles turned out to be one person."""

    kind = "profile.merged"
    topic = "profile-events"

    profile_id: UUID
    merged_id: UUID


class ProfileErased(Event):
    """A person was erased."""

    kind = "profile.erased"
    topic = "profile-events"

    profile_id: UUID
    contact_keys: tuple[str, ...]

"""What capture does when profile says something of a person."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from services.capture.leads import repository
from services.shared.clock import Clock
from services.shared.events import Received
from services.shared.events.profiles import ProfileErased, ProfileLeadAccepted, ProfileMerged
from services.shared.runner.consumer import ConsumerSpec


class ProfileNews:
    """Keeps leads in step with profiles."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def spec(self) -> ConsumerSpec:
        """What capture reads."""
        return ConsumerSpec(
            name="capture",
            topics=("profile-events",),
            handlers={
                ProfileLeadAccepted: self.accepted,
                ProfileMerged: self.merged,
                ProfileErased: self.erased,
            },
        )

    def accepted(self, session: Session, news: Sequence[Received[Any]]) -> None:
        """A lead has found its profile."""
        repository.set_profiles(
            session, {item.event.lead_id: item.event.profile_id for item in news}
        )

    def merged(self, session: Session, news: Sequence[Received[Any]]) -> None:
        """A profile went into another."""
        for item in news:
            repository.merge(session, item.event.merged_id, item.event.profile_id)

    def erased(self, session: Session, news: Sequence[Received[Any]]) -> None:
        """A person is gone: what they left goes too."""
        for item in news:
            repository.erase(
                session, item.event.profile_id, item.event.contact_keys, self._clock.now()
            )

"""The event catalogue: one table of what is said, where, by whom, to whom."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from services.shared.events import engagements, leads, profiles, push
from services.shared.events.envelope import Event

Service = Literal["capture", "profile", "push", "metrics"]


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: how long it keeps its records and which segments it makes. Never repartitioned."""

    name: str
    key: str
    retention: timedelta | None
    compacted: bool = False
    segment: timedelta | None = None

    def kafka_config(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        config: dict[str, str] = {}
        if self.compacted:
            config |= {
                "cleanup.policy": "compact",
                "delete.retention.ms": _millis(timedelta(days=30)),
                "max.compaction.lag.ms": _millis(timedelta(days=1)),
            }
        if self.retention:
            config["retention.ms"] = _millis(self.retention)
        if self.segment:
            config["segment.ms"] = _millis(self.segment)
        return config


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of the catalogue."""

    event: type[Event]
    producers: tuple[Service, ...]
    consumers: tuple[Service, ...]
    replaces: str | None = None


_DAY = timedelta(days=1)

PARTITIONS = 12

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        Topic("leads", "contact key", 7 * _DAY, segment=_DAY),
        Topic("views", "bait id", 7 * _DAY),
        Topic("profiles", "profile id", None, compacted=True, segment=_DAY),
        Topic("profile-events", "profile id", 30 * _DAY),
        Topic("push-requests", "contact key", 7 * _DAY, segment=_DAY),
        Topic("outcomes", "contact key", 30 * _DAY),
        Topic("engagements", "contact key", 30 * _DAY),
    )
}

CATALOGUE: tuple[Entry, ...] = (
    Entry(leads.LeadSubmitted, ("capture",), ("profile", "metrics")),
    Entry(leads.LeadVerified, ("capture",), ("profile", "metrics")),
    Entry(leads.LeadOpened, ("capture",), ("profile", "metrics")),
    Entry(leads.BaitDisplayed, ("capture",), ("metrics",)),
    Entry(profiles.ProfileChanged, ("profile",), ("push", "metrics")),
    Entry(profiles.LogMarker, ("profile",), ("push", "metrics")),
    Entry(profiles.ProfileLeadAccepted, ("profile",), ("capture", "push", "metrics")),
    Entry(profiles.ProfileMerged, ("profile",), ("capture", "push", "metrics")),
    Entry(profiles.ProfileErased, ("profile",), ("capture", "push", "metrics")),
    Entry(push.PushRequested, ("capture", "profile"), ("push",)),
    Entry(push.PushSent, ("push",), ("profile", "metrics")),
    Entry(push.PushSentTogether, ("push",), ("profile", "metrics")),
    Entry(push.PushFailed, ("push",), ("profile", "metrics")),
    Entry(push.PushHeld, ("push",), ("profile", "metrics")),
    Entry(push.PushDropped, ("push",), ("profile", "metrics")),
    Entry(push.PushUnknown, ("push",), ("profile", "metrics")),
    Entry(push.PushDelivered, ("push",), ("profile", "metrics")),
    Entry(push.PushBounced, ("push",), ("profile", "metrics")),
    Entry(push.PushComplained, ("push",), ("profile", "metrics")),
    Entry(engagements.EngagementDisplayed, ("metrics",), ("profile", "push")),
    Entry(engagements.EngagementClicked, ("metrics",), ("profile", "push")),
    Entry(engagements.EngagementInquired, ("metrics",), ("profile", "push")),
    Entry(engagements.EngagementConverted, ("metrics",), ("profile", "push")),
    Entry(engagements.EngagementUnsubscribed, ("metrics",), ("profile", "push")),
)

BY_TYPE: dict[str, Entry] = {entry.event.ce_type(): entry for entry in CATALOGUE}


def _millis(span: timedelta) -> str:
    return str(int(span.total_seconds() * 1000))

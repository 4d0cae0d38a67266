"""The stages of the funnel, and what one raw event adds to the totals. Everything counts by this."""

from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

DISPLAYED, SUBMITTED, VERIFIED, OPENED = "displayed", "submitted", "verified", "opened"
SENT, CLICKED, UNSUBSCRIBED = "sent", "clicked", "unsubscribed"
INQUIRED, CONVERTED, REFUNDED = "inquired", "converted", "refunded"
FAILED, DROPPED, UNKNOWN, RESOLVED = "failed", "dropped", "unknown", "resolved"
RECLASSIFIED = "reclassified"

MACHINE = "machine_"
UNATTRIBUTED = "unattributed_"
JOINED = "joined_"

WEB = "web"
"""The channel of forms drawn: a page or a script, not a message."""

SETTLES_UNKNOWN = frozenset({SENT, FAILED, DROPPED})


class Raw(NamedTuple):
    """A row of `raw_events`. Without a stage it counts nowhere."""

    id: UUID
    kind: str
    stage: str
    occurred_at: Any
    subject: UUID | None = None
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    channel: str = ""
    number: int = 1
    machine: bool = False
    void: bool = False
    joined: bool = False
    reason: str = ""
    credit: str = ""
    amount: int | None = None
    currency: str = ""
    contact_key: str | None = None
    profile_id: UUID | None = None
    document: dict[str, Any] | None = None


class Dimensions(NamedTuple):
    """Where a number belongs: channel, bait id and campaign id, each "" when there is none."""

    channel: str = ""
    bait: str = ""
    campaign: str = ""


NOWHERE = Dimensions()


class Share(NamedTuple):
    """What is added to one cell (of a day)."""

    stage: str
    place: Dimensions
    part: str
    number: int
    amount: int = 0


def place_of(channel: str, bait_id: UUID | None, campaign_id: UUID | None) -> Dimensions:
    """The dimensions as the totals keep them."""
    return Dimensions(
        channel, str(bait_id) if bait_id else "", str(campaign_id) if campaign_id else ""
    )


def shares(raw: Raw) -> Iterator[Share]:
    """What a raw event adds. A function of the row alone, so that a rebuild gives the same."""
    if not raw.stage:
        return
    place = place_of(raw.channel, raw.bait_id, raw.campaign_id)
    if raw.machine:
        yield Share(MACHINE + raw.stage, place, raw.reason, raw.number)
        if raw.void:
            yield Share(raw.stage, place, "", raw.number)
            yield Share(RECLASSIFIED, place, "", raw.number)
        return
    amount = raw.amount or 0
    part = raw.reason if raw.stage == DROPPED else raw.currency
    yield Share(raw.stage, place, part, raw.number, amount)
    if raw.joined:
        yield Share(UNATTRIBUTED + raw.stage, NOWHERE, part, raw.number, amount)
        yield Share(JOINED + raw.stage, NOWHERE, part, raw.number, amount)


class Days:
    """The day of a moment in the installation's time zone, as "2026-03-02"."""

    def __init__(self, zone: Any) -> None:
        self._zone = zone
        self._known: dict[int, str] = {}

    def of(self, moment: Any) -> str:
        # every zone's midnight falls on a quarter of an hour
        quarter = int(moment.timestamp()) // 900
        day = self._known.get(quarter)
        if day is None:
            day = moment.astimezone(self._zone).date().isoformat()
            if len(self._known) > 50_000:
                self._known.clear()
            self._known[quarter] = day
        return day

"""What the ledger tells callers. No address is in any of it, but masked."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel


class CauseOut(BaseModel):
    """Why a message goes out."""

    kind: str
    id: str


class TraceOut(BaseModel):
    """One decision on the way of a delivery. `until`: it waits at least that long."""

    at: datetime
    state: str
    reason: str | None
    code: str | None
    detail: str | None
    attempt: int
    until: datetime | None


class DeliveryOut(BaseModel):
    """A delivery and how it came to where it stands."""

    id: UUID
    cause: CauseOut
    campaign_id: UUID | None
    bait_id: UUID | None
    profile_id: UUID | None
    channel: str
    to: str | None
    language: str
    marketing: bool
    state: str
    reason: str | None
    code: str | None
    attempt: int
    not_before: datetime | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    trace: list[TraceOut]


class ChannelStatus(BaseModel):
    """What a dispatcher of this process does. `paused`, `trouble`, `marketing_paused`: why, else null."""

    channel: str
    paused: str | None
    trouble: str | None
    marketing_paused: str | None
    connections: int
    claimed: int
    on_the_wire: int


class DispatchStatus(BaseModel):
    """Whether messages go out. `view_age_seconds` null: nobody can know how old the view is."""

    channels: list[ChannelStatus]
    marketing_paused: str | None
    view_age_seconds: float | None
    view_detail: str | None
    clock: str | None

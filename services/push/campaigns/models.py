"""Campaigns and their runs. A run is the cause of its deliveries: (campaign, run id)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, UniqueConstraint
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Document, Moment


class Campaign(PushTable, table=True):
    """Segment × template × time. Rows of the ledger are claimed only while `state` is running.

    `version` is the ETag. `due_at` is when the planner looks at it next; None: never by itself.
    """

    __tablename__ = "campaigns"
    __table_args__ = (Index("campaigns_due", "due_at"), Index("campaigns_by_time", "created_at"))

    id: UUID = Field(primary_key=True)
    version: int
    name: str = Field(max_length=100)
    segment_id: UUID
    template_id: UUID
    channel: str = Field(max_length=16)
    start_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    until: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    priority: int
    capped: bool
    state: str = Field(max_length=16)
    state_reason: str | None = Field(default=None, max_length=64)
    state_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    state_by: str = Field(max_length=200)
    run_id: UUID | None = None
    due_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    created_by: str = Field(max_length=200)
    started_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class CampaignRun(PushTable, table=True):
    """One going-out of a campaign and how far its planning is.

    `step` is compared and set by every planning transaction, so that two planners never both act.
    `skipped` counts the members of this walk that got no row, by reason. `waiting_since`: members of the
    next page are not known to push yet. `final` are the counts as the run ended: state, reason, count.
    """

    __tablename__ = "campaign_runs"
    __table_args__ = (UniqueConstraint("campaign_id", "number"),)

    id: UUID = Field(primary_key=True)
    campaign_id: UUID
    number: int
    template_version_id: UUID
    step: int
    walk: int
    cursor: str | None = Field(default=None, max_length=200)
    members: int
    skipped: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))
    complete: bool
    waiting_since: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    final: list[Any] | None = Field(default=None, sa_column=Column(Document(), nullable=True))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    completed_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))

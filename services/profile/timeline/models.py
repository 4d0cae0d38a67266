"""The tables of what happened."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index
from sqlmodel import Field

from services.profile.base import Table
from services.shared.database import Document, Moment


class TimelineEntry(Table, table=True):
    """One thing that happened, unique by the event that told of it."""

    __tablename__ = "timeline"
    __table_args__ = (
        Index("timeline_by_time", "profile_id", "at", "event_id"),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    kind: str = Field(max_length=32)
    document: Any = Field(sa_column=Column(Document(), nullable=False))


class EngagementFact(Table, table=True):
    """What a person did, for segments. Machines and refunded orders are not here.

    `fact_id` is the event's id; of an order it follows from source and order id, so that a refund finds it.
    """

    __tablename__ = "engagement_facts"
    __table_args__ = (
        Index("engagement_facts_by_time", "kind", "at", "profile_id"),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    kind: str = Field(primary_key=True, max_length=16)
    at: datetime = Field(sa_column=Column(Moment, primary_key=True))
    fact_id: UUID = Field(primary_key=True)
    bait_id: UUID | None = None
    campaign_id: UUID | None = None

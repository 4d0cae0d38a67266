"""Raw events, kept for good, and what is worked out from them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint, text
from sqlmodel import Field

from services.metrics.tables import MetricsTable
from services.shared.database import Document, Moment
from services.shared.database.types import Serial


class RawEvent(MetricsTable, table=True):
    """One thing that happened. Every total can be worked out anew from these rows.

    `stage` is the stage that it counts for (none when empty), `number` how often. `subject` is the
    delivery or lead that it is about. `machine` with `void`: it was counted as a person's before.
    `void` alone: taken back by a refund. `joined`: it was counted as unattributed before.
    """

    __tablename__ = "raw_events"
    __table_args__ = (
        Index(
            "raw_events_by_subject",
            "subject",
            sqlite_where=text("subject IS NOT NULL"),
            postgresql_where=text("subject IS NOT NULL"),
        ),
        Index(
            "raw_events_by_contact",
            "contact_key",
            sqlite_where=text("contact_key IS NOT NULL"),
            postgresql_where=text("contact_key IS NOT NULL"),
        ),
        Index(
            "raw_events_by_profile",
            "profile_id",
            sqlite_where=text("profile_id IS NOT NULL"),
            postgresql_where=text("profile_id IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(max_length=40)
    stage: str = Field(max_length=40)
    occurred_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    subject: UUID | None = None
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    channel: str = Field(default="", max_length=20)
    number: int = Field(default=1, sa_column=Column(BigInteger, nullable=False))
    machine: bool = False
    void: bool = False
    joined: bool = False
    reason: str = Field(default="", max_length=40)
    credit: str = Field(default="", max_length=10)
    amount: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    currency: str = Field(default="", max_length=3)
    contact_key: str | None = Field(default=None, max_length=64)
    profile_id: UUID | None = None
    document: dict[str, Any] | None = Field(
        default=None, sa_column=Column(Document(), nullable=True)
    )


class Total(MetricsTable, table=True):
    """A cell of the funnel. Day "" holds the sum of all days.

    `number` counts events, `subjects` the deliveries or leads whose first event of the stage fell in
    the cell, `amount` sums minor units of the currency that `part` names. For machines and drops
    `part` is the reason.
    """

    __tablename__ = "totals"

    day: str = Field(primary_key=True, max_length=10)
    stage: str = Field(primary_key=True, max_length=40)
    channel: str = Field(primary_key=True, max_length=20)
    bait: str = Field(primary_key=True, max_length=36)
    campaign: str = Field(primary_key=True, max_length=36)
    part: str = Field(primary_key=True, max_length=40)
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    subjects: int = Field(sa_column=Column(BigInteger, nullable=False))
    amount: int = Field(sa_column=Column(BigInteger, nullable=False))


class First(MetricsTable, table=True):
    """When a delivery or lead first came to a stage."""

    __tablename__ = "firsts"

    subject: UUID = Field(primary_key=True)
    stage: str = Field(primary_key=True, max_length=40)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class Name(MetricsTable, table=True):
    """The label of a bait or campaign, as it was first heard: a series keeps its name for ever."""

    __tablename__ = "names"
    __table_args__ = (UniqueConstraint("kind", "thing"),)

    number: int | None = Field(
        default=None, sa_column=Column(Serial(), primary_key=True, autoincrement=True)
    )
    kind: str = Field(max_length=10)
    thing: str = Field(max_length=36)
    label: str = Field(max_length=200)
    seen_at: datetime = Field(sa_column=Column(Moment, nullable=False))

"""What tokens and reports stand for, as far as metrics was told."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Integer, text
from sqlmodel import Field

from services.metrics.tables import MetricsTable
from services.shared.database import Moment


class Delivery(MetricsTable, table=True):
    """A message of which an outcome is known. `sent_at` None: whether it was sent is not known.

    `lead_id`: of the mail that brings a bait. `month` is when metrics first heard of it (`month_of`), 0 of what
    is older than the column: keys are hashes, and an index of all of them has a page of its own for each new row,
    that of a month's is small.
    """

    __tablename__ = "deliveries"
    __table_args__ = (Index("deliveries_by_contact", "month", "contact_key"),)

    id: UUID = Field(primary_key=True)
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    lead_id: UUID | None = None
    channel: str = Field(max_length=20)
    contact_key: str | None = Field(default=None, max_length=64)
    profile_id: UUID | None = None
    sent_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    month: int = Field(
        default=0, sa_column=Column(Integer, nullable=False, server_default=text("0"))
    )


class Lead(MetricsTable, table=True):
    """A submission: which bait, over which channel, by which contact."""

    __tablename__ = "leads"

    id: UUID = Field(primary_key=True)
    bait_id: UUID
    channel: str = Field(max_length=20)
    contact_key: str | None = Field(default=None, max_length=64, index=True)
    submitted_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class ContactOwner(MetricsTable, table=True):
    """Whose a contact is, as profile last said (`at`)."""

    __tablename__ = "contact_owners"

    contact_key: str = Field(primary_key=True, max_length=64)
    profile_id: UUID = Field(index=True)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class ProfileAlias(MetricsTable, table=True):
    """A merge: `merged_id` is to be read as `profile_id`."""

    __tablename__ = "profile_aliases"

    merged_id: UUID = Field(primary_key=True)
    profile_id: UUID = Field(index=True)

"""Push's own table of who may be reached."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Document, Moment


class ReachProfile(PushTable, table=True):
    """A person as push knows them. An erased one keeps its id and the time, nothing else.

    `zone` is what the person said, else their phone's region; None: the installation's.
    """

    __tablename__ = "reach_profiles"

    id: UUID = Field(primary_key=True)
    revision: int
    language: str = Field(max_length=16)
    zone: str | None = Field(default=None, max_length=64)
    fields: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))
    alias_of: UUID | None = None
    erased_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class ReachContact(PushTable, table=True):
    """A contact of a profile and what may be sent to it.

    `marketing` is the newest word on marketing over this channel; None: none was given. `agreed_at` is when
    the person last agreed by their own word, as far as that is known.
    """

    __tablename__ = "reach_contacts"
    __table_args__ = (Index("reach_contacts_of", "profile_id"),)

    contact_key: str = Field(max_length=64, primary_key=True)
    profile_id: UUID = Field(primary_key=True)
    channel: str = Field(max_length=16)
    account: str = Field(max_length=64)
    address: str = Field(max_length=320)
    abuse_key: str = Field(max_length=64)
    verified_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    provenance: str | None = Field(default=None, max_length=200)
    marketing: bool | None = None
    agreed_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class Suppression(PushTable, table=True):
    """A contact that is not written to: unsubscribed, hard_bounce, soft_bounces, complaint, blocked, erased.

    `unsubscribed` stops marketing, `erased` what was asked for before it, the others everything.
    """

    __tablename__ = "suppressions"

    contact_key: str = Field(max_length=64, primary_key=True)
    reason: str = Field(max_length=16, primary_key=True)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class SoftStreak(PushTable, table=True):
    """Temporary faults of a contact in a row; a success ends it."""

    __tablename__ = "soft_streaks"

    contact_key: str = Field(max_length=64, primary_key=True)
    count: int
    first_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    last_at: datetime = Field(sa_column=Column(Moment, nullable=False))

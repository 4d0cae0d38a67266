"""Tables of leads: submissions, answers to repeated requests, and merged profiles."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, Text, text
from sqlmodel import Field

from services.capture.tables import CaptureTable
from services.shared.database import Moment


def _partial(name: str, column: str, where: str) -> Index:
    return Index(name, column, sqlite_where=text(where), postgresql_where=text(where))


class Lead(CaptureTable, table=True):
    """One submission. `document` is the JSON of its `lead.submitted`; `{}` after the person was erased.

    What is looked up by contact is indexed once the lead has found its profile, many leads at a time: an
    index in the order of hashes costs a submission as many pages as all the rest of it. The few leads
    that have found none yet are looked through.
    """

    __tablename__ = "leads"
    __table_args__ = (
        _partial("leads_by_contact", "contact_key", "profile_id IS NOT NULL"),
        _partial("leads_by_profile", "profile_id", "profile_id IS NOT NULL"),
        _partial("leads_without_profile", "accepted_at", "profile_id IS NULL"),
    )

    id: UUID = Field(primary_key=True)
    bait_id: UUID
    version: int
    channel: str = Field(max_length=16)
    contact_key: str = Field(max_length=40)
    accepted_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    expires_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    document: str = Field(sa_column=Column(Text, nullable=False))
    verified_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    opened_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    profile_id: UUID | None = Field(default=None)


class KeptAnswer(CaptureTable, table=True):
    """The answer to a request with an Idempotency-Key, kept for its repeats."""

    __tablename__ = "idempotency"

    key: str = Field(primary_key=True, max_length=40)
    body_hash: str = Field(max_length=40)
    answer: str = Field(max_length=200)
    at: datetime = Field(sa_column=Column(Moment, nullable=False, index=True))


class ProfileAlias(CaptureTable, table=True):
    """A profile that was merged into another."""

    __tablename__ = "profile_aliases"

    merged_id: UUID = Field(primary_key=True)
    profile_id: UUID = Field(index=True)

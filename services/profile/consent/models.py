"""The consent tables: the present state, and the ledger of proofs that led to it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlmodel import Field

from services.profile.base import Table
from services.shared.database import Document, Moment


class Consent(Table, table=True):
    """What holds now for a purpose on a channel, by the contact that it was said for.

    `contact_key` "" stands for every contact of the channel.
    """

    __tablename__ = "consents"
    __table_args__ = (
        Index("consents_by_purpose", "purpose", "channel", "given", "profile_id"),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    purpose: str = Field(primary_key=True, max_length=32)
    channel: str = Field(primary_key=True, max_length=16)
    contact_key: str = Field(primary_key=True, max_length=64)
    given: bool
    text_version: str = Field(max_length=128)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    source: str = Field(max_length=200)


class ConsentEntry(Table, table=True):
    """One saying of a person, with its proof. Nothing here is ever changed but `effective`.

    `effective` False: typed into a form after a withdrawal; it counts once that lead is verified. Or what
    came to be known late, when something newer held already.
    """

    __tablename__ = "consent_entries"
    __table_args__ = (
        Index(
            "consent_entries_pending",
            "lead_id",
            sqlite_where=text("effective = 0"),
            postgresql_where=text("NOT effective"),
        ),
        {"sqlite_with_rowid": False},
    )

    profile_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    contact_key: str = Field(max_length=64)
    purpose: str = Field(max_length=32)
    channel: str = Field(max_length=16)
    given: bool
    text_version: str = Field(max_length=128)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    source: str = Field(max_length=200)
    effective: bool
    lead_id: UUID | None = None
    proof: Any = Field(sa_column=Column(Document(), nullable=False))

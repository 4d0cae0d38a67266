"""The tables of what came in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index
from sqlmodel import Field

from services.profile.base import Table
from services.shared.database import Document, Moment


class HandledLead(Table, table=True):
    """A lead that has its profile. A repeated lead.submitted finds it here and does nothing."""

    __tablename__ = "handled_leads"
    __table_args__ = (
        Index("leads_by_bait", "bait_slug", "profile_id"),
        {"sqlite_with_rowid": False},
    )

    lead_id: UUID = Field(primary_key=True)
    profile_id: UUID
    bait_id: UUID
    bait_slug: str = Field(max_length=128)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class WaitingNote(Table, table=True):
    """Something about a contact that came before the lead that brings the contact."""

    __tablename__ = "waiting_notes"
    __table_args__ = (
        Index("waiting_by_contact", "contact_key"),
        Index("waiting_by_arrival", "arrived_at"),
    )

    event_id: UUID = Field(primary_key=True)
    contact_key: str = Field(max_length=64)
    note: Any = Field(sa_column=Column(Document(), nullable=False))
    arrived_at: datetime = Field(sa_column=Column(Moment, nullable=False))

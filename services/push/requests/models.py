"""What requests keep beside the ledger: which notices to staff go out together."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Moment


class NoticeBundle(PushTable, table=True):
    """The newest bundle of notices to one address: its delivery and when that may go out."""

    __tablename__ = "notice_bundles"

    contact_key: str = Field(max_length=64, primary_key=True)
    delivery_id: UUID
    due_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class NoticeItem(PushTable, table=True):
    """One notice inside a bundle; unique, so that a repeated request adds nothing."""

    __tablename__ = "notice_items"

    contact_key: str = Field(max_length=64, primary_key=True)
    cause_id: str = Field(max_length=128, primary_key=True)
    delivery_id: UUID
    title: str = Field(max_length=200)

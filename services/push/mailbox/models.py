"""The messages of the local mailbox."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Moment


class LocalMail(PushTable, table=True):
    """A finished message, as it would have been sent; by the delivery it belongs to."""

    __tablename__ = "mailbox"
    __table_args__ = (Index("mailbox_by_time", "kept_at", "id"),)

    id: UUID = Field(primary_key=True)
    kept_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    recipient: str = Field(max_length=320)
    subject: str = Field(max_length=500)
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))

"""The table of segments."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index
from sqlmodel import Field

from services.profile.base import Table
from services.shared.database import Document, Moment


class Segment(Table, table=True):
    """A named rule. A retired one can't be chosen any more, yet what uses it can go on."""

    __tablename__ = "segments"
    __table_args__ = (Index("segments_by_creation", "created_at", "id"),)

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=200)
    rule: Any = Field(sa_column=Column(Document(), nullable=False))
    version: int
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    changed_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    retired_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))

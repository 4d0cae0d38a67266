"""Tables of baits: the bait, its versions, and the types of declared fields."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field

from services.capture.tables import CaptureTable
from services.shared.database import Document, Moment


class Bait(CaptureTable, table=True):
    """A bait and the number of its current version."""

    __tablename__ = "baits"

    id: UUID = Field(primary_key=True)
    slug: str = Field(unique=True, max_length=63)
    version: int
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    changed_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    retired_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class BaitVersion(CaptureTable, table=True):
    """What a bait said from one change to the next. Never changed: leads name it."""

    __tablename__ = "bait_versions"

    bait_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class FieldType(CaptureTable, table=True):
    """The type that a field name has in every bait, fixed by the first that declared it."""

    __tablename__ = "field_types"

    name: str = Field(primary_key=True, max_length=64)
    type: str = Field(max_length=16)

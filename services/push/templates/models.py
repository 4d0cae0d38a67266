"""Templates and their versions. A version never changes, so what was compiled from it can be kept."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, UniqueConstraint
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Document, Moment


class Template(PushTable, table=True):
    """A named template; `version` is the number of its newest version and its ETag."""

    __tablename__ = "templates"

    id: UUID = Field(primary_key=True)
    name: str = Field(max_length=100, unique=True)
    channel: str = Field(max_length=16)
    kind: str = Field(max_length=16)
    version: int
    version_id: UUID
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    updated_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class TemplateVersion(PushTable, table=True):
    """What a template says as of one edit: kind, channel, variables, content per language."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"),)

    id: UUID = Field(primary_key=True)
    template_id: UUID
    number: int
    document: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    created_by: str = Field(max_length=200)

"""What the segment endpoints take and give."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.profile.segments.rules import CheckedRule


def _line(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("required")
    if not text.isprintable():
        raise ValueError("forbidden_characters")
    return text


class SegmentDocument(BaseModel):
    """A segment as it is made or changed: whole."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
    rule: CheckedRule


class RuleDocument(BaseModel):
    """A rule to be tried."""

    model_config = ConfigDict(extra="forbid")

    rule: CheckedRule


class SegmentState(BaseModel):
    """A segment. A retired one is kept for what uses it, and can't be changed."""

    id: UUID
    name: str
    rule: dict[str, Any]
    version: int
    state: Literal["open", "retired"]
    created_at: datetime
    changed_at: datetime


class SegmentList(BaseModel):
    items: list[SegmentState]
    next: str | None


class Count(BaseModel):
    """How many people, as of now."""

    count: int


class SamplePerson(BaseModel):
    """Enough of a person to see whether a rule means what it should."""

    id: UUID
    language: str
    channels: list[str]
    tags: list[str]
    fields: dict[str, Any]
    created_at: datetime


class Sample(BaseModel):
    items: list[SamplePerson]


class Preview(BaseModel):
    """What a rule would find. `unknown_fields` were never given by anybody: a typing error, perhaps."""

    count: int
    items: list[SamplePerson]
    unknown_fields: list[str]


class Members(BaseModel):
    """A page of members by id."""

    items: list[UUID]
    next: UUID | None


class CountedMembers(Members):
    """`count` (of all pages) stands on the last page only."""

    count: int | None = None

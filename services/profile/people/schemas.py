"""What the profile endpoints take and give."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.shared.contact import Channel


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("forbidden_characters")
    return text


Typed = Annotated[str, Field(min_length=1, max_length=254), AfterValidator(_printable)]


class ContactQuery(BaseModel):
    """A contact to look for, as typed. It stands in the body: addresses never stand in a URL."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    address: Typed
    account: Annotated[str, Field(max_length=128), AfterValidator(_printable)] = ""


class ContactState(BaseModel):
    channel: Channel
    account: str
    address: str
    contact_key: str
    added_at: datetime
    verified_at: datetime | None
    provenance: str | None


class FieldState(BaseModel):
    """A value from one source. Of several sources the newest counts."""

    name: str
    value: Any
    type: str
    source: str
    at: datetime
    newest: bool


class TagState(BaseModel):
    tag: str
    source: str
    at: datetime


class ConsentState(BaseModel):
    """What holds now. Without `contact_key`: for every contact of the channel."""

    purpose: str
    channel: Channel
    contact_key: str | None
    given: bool
    text_version: str
    at: datetime
    source: str


class ConsentProof(ConsentState):
    """One saying, with its proof. Not `effective`: typed after a withdrawal and not confirmed yet, or older than what holds."""

    id: UUID
    effective: bool
    lead_id: UUID | None
    proof: dict[str, Any]


class MergeCandidateState(BaseModel):
    """Another profile that one lead named together with this one."""

    profile_id: UUID
    lead_id: UUID
    at: datetime


class PersonState(BaseModel):
    """A profile, whole but for its timeline. `timezone` null: the installation's."""

    id: UUID
    revision: int
    language: str
    timezone: str | None
    lead_count: int
    created_at: datetime
    changed_at: datetime
    contacts: list[ContactState]
    fields: list[FieldState]
    tags: list[TagState]
    consents: list[ConsentState]
    consent_proofs: list[ConsentProof]
    merge_candidates: list[MergeCandidateState]


class PersonLine(BaseModel):
    """A profile in a list."""

    id: UUID
    language: str
    lead_count: int
    created_at: datetime
    contacts: list[ContactState]
    tags: list[str]


class PersonList(BaseModel):
    items: list[PersonLine]
    next: UUID | None


class TimelineItem(BaseModel):
    """One thing that happened."""

    id: UUID
    at: datetime
    kind: str
    details: dict[str, Any]


class Timeline(BaseModel):
    items: list[TimelineItem]
    next: str | None

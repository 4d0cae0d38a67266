"""Pieces that several events share."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.shared.contact import Channel

RECORDED = "operator"
"""The source of a consent that an operator recorded, with its provenance."""

CauseKind = Literal["campaign", "journey", "lead", "api", "notice", "test"]


class Part(BaseModel):
    """A value inside an event: immutable, and unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ContactPart(Part):
    """A contact as it was typed, its identity, and the keys that stand in for it."""

    channel: Channel
    account: str = ""
    address: str
    identity: str
    contact_key: str
    abuse_key: str


class ConsentPart(Part):
    """Consent given or withdrawn: purpose × channel × the version of the text that was shown.

    `contact_key` is the contact that it was said for; None: every contact of the channel.
    """

    purpose: str
    channel: Channel
    given: bool
    text_version: str
    at: datetime
    source: str
    contact_key: str | None = None


def is_agreement(given: bool, source: str, said_at: datetime, verified_at: datetime | None) -> bool:
    """Whether a consent is known to be the person's own word: only such a one brings back who had left.

    Recorded by an operator with provenance, or typed and then confirmed from the contact itself
    (`verified_at` is the contact's). Anybody can type anybody's address.
    """
    return given and (source == RECORDED or (verified_at is not None and verified_at >= said_at))


class SourcePart(Part):
    """Where a lead came from. Page addresses are kept without query and fragment."""

    utm_source: str | None = None
    utm_medium: str | None = None
    utm_campaign: str | None = None
    utm_term: str | None = None
    utm_content: str | None = None
    referrer: str | None = None
    landing_page: str | None = None


class ProofPart(Part):
    """What shows that a consent was given: the form, its language, and a keyed hash of the address."""

    form_version: int
    language: str
    ip_hash: str | None = None
    way: Literal["page", "form", "script", "api", "import"]


class CausePart(Part):
    """Why a message goes out. `id` is unique within its kind."""

    kind: CauseKind
    id: str


class ProfileContactPart(ContactPart):
    """A contact on a profile: whether it is known to belong to the person."""

    verified_at: datetime | None = None
    provenance: str | None = None


class ProfileState(Part):
    """Everything that others may know of a profile, whole, as of `revision`."""

    profile_id: UUID
    revision: int
    language: str
    timezone: str | None
    contacts: tuple[ProfileContactPart, ...]
    consents: tuple[ConsentPart, ...]
    fields: dict[str, Any]
    tags: tuple[str, ...]
    created_at: datetime
    changed_at: datetime

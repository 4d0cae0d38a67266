"""What capture says of leads and displays. Topics `leads` (key: contact key) and `views` (key: bait id)."""

from typing import Any
from uuid import UUID

from services.shared.events.envelope import Event
from services.shared.events.parts import ConsentPart, ContactPart, ProofPart, SourcePart


class LeadSubmitted(Event):
    """Somebody left a contact for a bait. `contacts[0]` is the one that the bait is sent to."""

    kind = "lead.submitted"
    topic = "leads"

    lead_id: UUID
    bait_id: UUID
    bait_slug: str
    bait_version: int
    language: str
    contacts: tuple[ContactPart, ...]
    fields: dict[str, Any]
    field_types: dict[str, str]
    tags: tuple[str, ...]
    consents: tuple[ConsentPart, ...]
    source: SourcePart
    proof: ProofPart


class LeadVerified(Event):
    """The person showed that the contact is theirs."""

    kind = "lead.verified"
    topic = "leads"

    lead_id: UUID
    bait_id: UUID
    contact_key: str


class LeadOpened(Event):
    """The resource was opened by the person, by the button of the resource page. Once per lead."""

    kind = "lead.opened"
    topic = "leads"

    lead_id: UUID
    bait_id: UUID
    contact_key: str


class BaitDisplayed(Event):
    """A bait's form was drawn `displays` times (by people) and `machine` times (by known robots)."""

    kind = "bait.displayed"
    topic = "views"

    bait_id: UUID
    bait_slug: str
    displays: int
    machine: int

"""What a saying does to the present state of consent. Who has left stays away until the person says so."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.profile.base import Row
from services.profile.people.person import Person
from services.shared.events.parts import is_agreement

MARKETING = "marketing"
ANY_CONTACT = ""


@dataclass(frozen=True, slots=True)
class Saying:
    """One consent given or withdrawn, with its proof. `contact_key` "": every contact of the channel."""

    id: UUID
    purpose: str
    channel: str
    given: bool
    text_version: str
    at: datetime
    source: str
    contact_key: str
    proof: dict[str, Any]
    lead_id: UUID | None = None

    def entry(self, profile_id: UUID, *, effective: bool) -> Row:
        """Its row in the ledger."""
        return {
            "profile_id": profile_id,
            "id": self.id,
            "contact_key": self.contact_key,
            "purpose": self.purpose,
            "channel": self.channel,
            "given": self.given,
            "text_version": self.text_version,
            "at": self.at,
            "source": self.source,
            "effective": effective,
            "lead_id": self.lead_id,
            "proof": self.proof,
        }


def typed(person: Person, saying: Saying) -> tuple[bool, list[Row]]:
    """Consent typed into a form: whether it takes effect at once, and the state rows to write.

    Anybody can type anybody's address: it takes nothing away, and does not bring back who has left
    before the lead is verified.
    """
    if not saying.given:
        return True, []
    if has_left(person, saying.purpose, saying.channel):
        return False, []
    known = person.consents.get((saying.purpose, saying.channel, saying.contact_key))
    if known is not None and known["at"] >= saying.at:
        return True, []
    return True, [_set(person, saying, saying.contact_key, given=True)]


def confirmed(person: Person, saying: Saying, verified_at: datetime) -> list[Row]:
    """A typed consent whose lead is verified now: the person has said it. The state rows to write.

    A withdrawal that is not older stands.
    """
    rows = _of(person, saying.purpose, saying.channel)
    if any(not row["given"] and row["at"] >= verified_at for row in rows):
        return []
    return _given(person, saying)


def recorded(person: Person, saying: Saying) -> list[Row]:
    """An operator records what the person said in another way; the state rows to write.

    Said after the person had left it is a new agreement; said before, the withdrawal stands.
    """
    if saying.given:
        return confirmed(person, saying, saying.at)
    return withdrawn(person, saying)


def withdrawn(person: Person, saying: Saying) -> list[Row]:
    """The person leaves: nothing of this purpose over this channel, whatever the contact.

    What they themselves agreed to after it stands: the news of it may come late.
    """
    rows = {row["contact_key"]: row for row in _of(person, saying.purpose, saying.channel)}
    later = {key for key, row in rows.items() if row["at"] > saying.at and _agreed(person, row)}
    if ANY_CONTACT in later:
        return []
    keys = (rows.keys() | {saying.contact_key}) - later
    return [_set(person, saying, key, given=False) for key in sorted(keys)]


def has_left(person: Person, purpose: str, channel: str) -> bool:
    """Whether the person has withdrawn this consent."""
    return any(not row["given"] for row in _of(person, purpose, channel))


def _agreed(person: Person, row: Row) -> bool:
    contact = person.contacts.get(row["contact_key"])
    verified_at = contact["verified_at"] if contact else None
    return is_agreement(row["given"], row["source"], row["at"], verified_at)


def _given(person: Person, saying: Saying) -> list[Row]:
    keys = {saying.contact_key}
    if saying.contact_key == ANY_CONTACT:
        keys |= {row["contact_key"] for row in _of(person, saying.purpose, saying.channel)}
    return [_set(person, saying, key, given=True) for key in sorted(keys)]


def _of(person: Person, purpose: str, channel: str) -> list[Row]:
    return [
        row
        for (row_purpose, row_channel, _), row in person.consents.items()
        if row_purpose == purpose and row_channel == channel
    ]


def _set(person: Person, saying: Saying, contact_key: str, *, given: bool) -> Row:
    row: Row = {
        "profile_id": person.id,
        "purpose": saying.purpose,
        "channel": saying.channel,
        "contact_key": contact_key,
        "given": given,
        "text_version": saying.text_version,
        "at": saying.at,
        "source": saying.source,
    }
    person.consents[(saying.purpose, saying.channel, contact_key)] = row
    person.changed = True
    return row

"""Leads of people whom nobody knows yet, as capture says them."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.shared.clock import from_micros, to_micros
from services.shared.contact import Channel, Contact, ContactKeys
from services.shared.events import Message, encode
from services.shared.events.leads import LeadSubmitted
from services.shared.events.parts import ConsentPart, ContactPart, ProofPart, SourcePart
from services.shared.ids import derived

BAIT = UUID(int=0xBA17)
SLUG = "bench"
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
"""When the first of the people came."""
OVER = timedelta(days=680)
CITIES = (
    "Ningbo",
    "Suzhou",
    "Leeds",
    "Hangzhou",
    "Turin",
    "Lyon",
    "Xi'an",
    "Porto",
    "Graz",
    "Cork",
)


def id_of(at: int, dice: random.Random) -> str:
    """A UUIDv7 of a moment (microseconds), as SQLite keeps it."""
    return f"{at // 1000:012x}7{dice.getrandbits(12):03x}8{dice.getrandbits(60):015x}"


def new_leads(keys: ContactKeys, count: int, *, salt: str, seed: int = 1) -> Iterator[Message]:
    """Leads one after the other, in order of time; other people for another salt."""
    dice = random.Random(f"{seed} {salt}")
    at = to_micros(BEGAN + OVER)
    for number in range(count):
        at += 500
        address = f"new{number}.{salt}@people.example"
        contact = Contact(Channel.EMAIL, "", address, address)
        lead_id = UUID(id_of(at, dice))
        moment = from_micros(at)
        key = keys.contact_key(contact)
        event = LeadSubmitted(
            lead_id=lead_id,
            bait_id=BAIT,
            bait_slug=SLUG,
            bait_version=1,
            language="en",
            contacts=(
                ContactPart(
                    channel=Channel.EMAIL,
                    address=address,
                    identity=address,
                    contact_key=key,
                    abuse_key=keys.abuse_key(contact),
                ),
            ),
            fields={"name": f"Person {number}", "city": dice.choice(CITIES)},
            field_types={"name": "text", "city": "text"},
            tags=(SLUG,),
            consents=(
                ConsentPart(
                    purpose="marketing",
                    channel=Channel.EMAIL,
                    given=True,
                    text_version="1",
                    at=moment,
                    source="form",
                ),
            ),
            source=SourcePart(utm_source="bench", landing_page="https://shop.example/price-list"),
            proof=ProofPart(form_version=1, language="en", way="api"),
        )
        event_id = derived(event.kind, lead_id)
        yield encode(event, event_id=event_id, key=key, occurred_at=moment, source="capture")

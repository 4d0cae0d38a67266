"""The data maker: verified, consenting people, written into the log as capture would have said them.

They reach profile and push by the real way: consumers, tables, events. The same seed makes the same people.
"""

import asyncio
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from uuid import UUID

from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.contact import Channel, Contact, ContactKeys
from services.shared.events import TOPICS, Event, Message, encode
from services.shared.events.leads import LeadSubmitted, LeadVerified
from services.shared.events.parts import ConsentPart, ContactPart, ProofPart, SourcePart
from services.shared.ids import derived
from services.shared.process.directory import DataDirectory

BAIT = UUID(int=0xBA17)
_BATCH = 2000


def make_people(data: Path, count: int, *, seed: int = 1) -> None:
    """Write `count` people into the log of a data directory that nothing runs on."""
    directory = DataDirectory(data)
    directory.open()
    keys = ContactKeys(directory.secrets().contact_key.encode())
    try:
        asyncio.run(_publish(directory, keys, count, seed))
    finally:
        directory.close()


async def _publish(directory: DataDirectory, keys: ContactKeys, count: int, seed: int) -> None:
    bus = SqliteBus(directory.file("log"), SystemClock())
    await bus.start(tuple(TOPICS))
    events = _events(keys, count, seed)
    while batch := list(islice(events, _BATCH)):
        await bus.publish(batch)
    await bus.close()


def _events(keys: ContactKeys, count: int, seed: int) -> Iterator[Message]:
    dice = random.Random(seed)
    now = SystemClock().now()
    for number in range(count):
        address = f"person{number}@people.example"
        contact = Contact(Channel.EMAIL, "", address, address)
        key = keys.contact_key(contact)
        lead_id = derived("bench lead", seed, number)
        at = now - timedelta(minutes=dice.randrange(1, 60 * 24 * 30))
        part = ContactPart(
            channel=Channel.EMAIL,
            address=address,
            identity=address,
            contact_key=key,
            abuse_key=keys.abuse_key(contact),
        )
        submitted = LeadSubmitted(
            lead_id=lead_id,
            bait_id=BAIT,
            bait_slug="bench",
            bait_version=1,
            language="en",
            contacts=(part,),
            fields={"name": f"Person {number}", "city": dice.choice(("Ningbo", "Suzhou", "Leeds"))},
            field_types={"name": "text", "city": "text"},
            tags=("bench",),
            consents=(
                ConsentPart(
                    purpose="marketing",
                    channel=Channel.EMAIL,
                    given=True,
                    text_version="1",
                    at=at,
                    source="form",
                ),
            ),
            source=SourcePart(),
            proof=ProofPart(form_version=1, language="en", way="api"),
        )
        verified = LeadVerified(lead_id=lead_id, bait_id=BAIT, contact_key=key)
        for event in (submitted, verified):
            yield _message(event, lead_id, key, at)


def _message(event: Event, lead_id: UUID, key: str, at: datetime) -> Message:
    event_id = derived(event.kind, lead_id)
    return encode(event, event_id=event_id, key=key, occurred_at=at, source="capture")

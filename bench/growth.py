"""The data maker for figures at size: profiles written straight into a profile database, and leads to come.

A database of its own takes as many people as it is given, over two years, each as one lead left them: contact,
two fields, tag, consent with proof, timeline, and what some of them did. Indexes are made at the end. The same
seed makes the same people.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
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
OVER = timedelta(days=700)
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

_AT_ONCE = 20_000
_PROOF = (
    '{"form_version":1,"language":"en","ip_hash":null,"way":"api","bait":"bench","bait_version":1}'
)

_COLUMNS = {
    "profiles": "id, revision, language, language_at, timezone, lead_count, created_at, changed_at",
    "contacts": "contact_key, profile_id, position, channel, account, address, identity, abuse_key,"
    " added_at, verified_at, provenance",
    "field_values": "profile_id, name, source, value, type, at, newest, text_value, number_value",
    "tags": "profile_id, tag, source, at",
    "consents": "profile_id, purpose, channel, contact_key, given, text_version, at, source",
    "consent_entries": "profile_id, id, contact_key, purpose, channel, given, text_version, at, source,"
    " effective, lead_id, proof",
    "timeline": "profile_id, event_id, at, kind, document",
    "engagement_facts": "profile_id, kind, at, fact_id, bait_id, campaign_id",
    "handled_leads": "lead_id, profile_id, bait_id, bait_slug, at",
    "words": "kind, word, detail",
}

Rows = dict[str, list[tuple[Any, ...]]]


def grow_profiles(file: Path, count: int, *, seed: int = 1) -> None:
    """Fill a migrated profile database that nobody has open."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-400000")
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        people = _people(count, seed)
        connection.execute("BEGIN")
        while rows := _rows(islice(people, _AT_ONCE)):
            for table, lines in rows.items():
                # keys that are hashes go in in their order: a page is written once, not once a row
                _insert(connection, table, sorted(lines) if table == "contacts" else lines)
        words = [("bait", SLUG, str(BAIT)), ("tag", SLUG, "")]
        words += [("field", "name", "text"), ("field", "city", "text")]
        _insert(connection, "words", words)
        connection.execute("COMMIT")
        for _, sql in indexes:
            connection.execute(sql)
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _insert(connection: sqlite3.Connection, table: str, rows: list[tuple[Any, ...]]) -> None:
    columns = _COLUMNS[table]
    places = ", ".join("?" * (columns.count(",") + 1))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)


def _people(count: int, seed: int) -> Iterator[tuple[int, int, random.Random]]:
    dice = random.Random(seed)
    start, step = to_micros(BEGAN), OVER // timedelta(microseconds=1) // max(1, count)
    for number in range(count):
        yield number, start + number * step, dice


def _rows(people: Iterator[tuple[int, int, random.Random]]) -> Rows:
    rows: Rows = {name: [] for name in _COLUMNS if name != "words"}
    for number, at, dice in people:
        _person(rows, number, at, dice)
    return rows if rows["profiles"] else {}


def _id(at: int, dice: random.Random) -> str:
    """A UUIDv7 of a moment, as SQLite keeps it."""
    return f"{at // 1000:012x}7{dice.getrandbits(12):03x}8{dice.getrandbits(60):015x}"


def _person(rows: Rows, number: int, at: int, dice: random.Random) -> None:
    person, lead = _id(at, dice), _id(at, dice)
    key, abuse = f"{dice.getrandbits(160):040x}", f"{dice.getrandbits(160):040x}"
    address = f"person{number}@people.example"
    city, name = dice.choice(CITIES), f"Person {number}"
    verified = at + 60_000_000 if dice.random() < 0.7 else None
    rows["profiles"].append((person, 1, "en", at, None, 1, at, at))
    rows["contacts"].append(
        (key, person, 0, "email", "", address, address, abuse, at, verified, None)
    )
    source = f"bait:{SLUG}"
    rows["field_values"] += [
        (person, "name", source, f'"{name}"', "text", at, 1, name.casefold(), None),
        (person, "city", source, f'"{city}"', "text", at, 1, city.casefold(), None),
    ]
    rows["tags"].append((person, SLUG, source, at))
    if dice.random() < 0.8:
        rows["consents"].append((person, "marketing", "email", key, 1, "1", at, "form"))
        rows["consent_entries"].append(
            (
                *(person, _id(at, dice), key, "marketing", "email", 1, "1", at, "form"),
                *(1, lead, _PROOF),
            )
        )
    rows["timeline"].append(
        (person, _id(at, dice), at, "lead.submitted", f'{{"lead_id":"{lead}"}}')
    )
    rows["timeline"].append((person, _id(at, dice), at, "push.sent", '{"cause":"lead"}'))
    for kind, share in (("opened", 0.5), ("clicked", 0.3), ("converted", 0.05)):
        if dice.random() < share:
            when = at + dice.randrange(1, 30 * 24 * 3600) * 1_000_000
            rows["engagement_facts"].append((person, kind, when, _id(when, dice), BAIT.hex, None))
    rows["handled_leads"].append((lead, person, BAIT.hex, SLUG, at))


def new_leads(keys: ContactKeys, count: int, *, salt: str, seed: int = 1) -> Iterator[Message]:
    """Leads of people whom nobody knows yet, one after the other, as capture says them."""
    dice = random.Random(f"{seed} {salt}")
    at = to_micros(BEGAN + OVER)
    for number in range(count):
        at += 500
        address = f"new{number}.{salt}@people.example"
        contact = Contact(Channel.EMAIL, "", address, address)
        lead_id = UUID(_id(at, dice))
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

"""A million people, written straight into a profile database.

Each is as one lead left them, over two years: contact, two fields, tags, consent with proof, timeline, and what
some of them did. Who is verified and has consented is also in a group, `group-0` and so on, of people spread
evenly over the time, and in a crowd of `GROUPS` groups, `crowd-0` and so on.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.made.leads import BAIT, BEGAN, CITIES, OVER, SLUG, id_of
from bench.made.stores import filling
from services.shared.clock import to_micros

BAITS = {SLUG: BAIT} | {f"bench-{n}": UUID(int=BAIT.int + n) for n in range(1, 20)}
_SLUGS = tuple(BAITS)

GROUPS = 10
"""So many groups are a crowd; the last crowd may be of fewer."""

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


@dataclass
class Crowd:
    """Which people to make. Shares are between 0 and 1."""

    count: int
    seed: int = 1
    verified: float = 0.7
    consented: float = 0.8
    groups: int = 1
    dice: random.Random = field(init=False)
    reachable: int = field(init=False, default=0)
    """How many were made that are verified and have consented."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def moments(self) -> Iterator[tuple[int, int]]:
        """Number and moment (microseconds) of each of them."""
        start = to_micros(BEGAN)
        step = OVER // timedelta(microseconds=1) // max(1, self.count)
        return ((number, start + number * step) for number in range(self.count))


def grow_profiles(file: Path, crowd: Crowd) -> None:
    """Fill a migrated profile database that nobody has open."""
    with filling(file, _COLUMNS) as connection:

        def insert(table: str, rows: list[tuple[Any, ...]]) -> None:
            columns = _COLUMNS[table]
            places = ", ".join("?" * (columns.count(",") + 1))
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)

        moments = crowd.moments()
        while rows := _rows(crowd, islice(moments, _AT_ONCE)):
            for table, lines in rows.items():
                # keys that are hashes go in in their order: a page is written once, not once a row
                insert(table, sorted(lines) if table == "contacts" else lines)
        insert("words", [("bait", slug, str(bait)) for slug, bait in BAITS.items()])
        insert("words", [("field", "name", "text"), ("field", "city", "text")])
        crowds = range(-(-crowd.groups // GROUPS))
        tags = [SLUG, *(f"crowd-{number}" for number in crowds)]
        tags += [f"group-{number}" for number in range(crowd.groups)]
        insert("words", [("tag", tag, "") for tag in tags])


def _rows(crowd: Crowd, moments: Iterator[tuple[int, int]]) -> Rows:
    rows: Rows = {name: [] for name in _COLUMNS if name != "words"}
    for number, at in moments:
        _person(rows, crowd, number, at)
    return rows if rows["profiles"] else {}


def _person(rows: Rows, crowd: Crowd, number: int, at: int) -> None:
    dice = crowd.dice
    person, lead = id_of(at, dice), id_of(at, dice)
    key, abuse = f"{dice.getrandbits(160):040x}", f"{dice.getrandbits(160):040x}"
    address = f"person{number}@people.example"
    city, name = CITIES[int(dice.random() * len(CITIES))], f"Person {number}"
    slug = _SLUGS[number % len(_SLUGS)]
    verified = at + 60_000_000 if dice.random() < crowd.verified else None
    rows["profiles"].append((person, 1, "en", at, None, 1, at, at))
    rows["contacts"].append(
        (key, person, 0, "email", "", address, address, abuse, at, verified, None)
    )
    source = f"bait:{slug}"
    rows["field_values"] += [
        (person, "name", source, f'"{name}"', "text", at, 1, name.casefold(), None),
        (person, "city", source, f'"{city}"', "text", at, 1, city.casefold(), None),
    ]
    rows["tags"].append((person, SLUG, source, at))
    if dice.random() < crowd.consented:
        rows["consents"].append((person, "marketing", "email", key, 1, "1", at, "form"))
        said = (person, id_of(at, dice), key, "marketing", "email", 1, "1", at, "form")
        rows["consent_entries"].append((*said, 1, lead, _PROOF))
        if verified:
            group = crowd.reachable % crowd.groups
            rows["tags"].append((person, f"crowd-{group // GROUPS}", source, at))
            rows["tags"].append((person, f"group-{group}", source, at))
            crowd.reachable += 1
    rows["timeline"].append(
        (person, id_of(at, dice), at, "lead.submitted", f'{{"lead_id":"{lead}"}}')
    )
    rows["timeline"].append((person, id_of(at, dice), at, "push.sent", '{"cause":"lead"}'))
    for kind, share in (("opened", 0.5), ("clicked", 0.3), ("converted", 0.05)):
        if dice.random() < share:
            when = at + int(dice.random() * 10 * 24 * 3600) * 1_000_000
            fact = (person, kind, when, id_of(when, dice), BAITS[slug].hex, None)
            rows["engagement_facts"].append(fact)
    rows["handled_leads"].append((lead, person, BAITS[slug].hex, slug, at))

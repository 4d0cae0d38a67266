"""The reference "raw": the effects of `lead.submitted` in profile's database by set-based SQL and nothing else.

The same rows in the same tables with the same indexes, the same two outbox rows a lead, a position, and the same
durability, in transactions of a thousand leads. Every lead is somebody new; nothing is checked, nobody is met again.

`python -m bench.reference.raw FILE < LEADS` takes one event's JSON a line and prints the leads a second.
"""

import sqlite3
import sys
import time
from contextlib import closing
from typing import Any

from pydantic_core import from_json

_BATCH = 1000

_STAGE = """
CREATE TEMP TABLE stage (lead TEXT PRIMARY KEY, bait TEXT, slug TEXT, person TEXT, contact TEXT, abuse TEXT,
  address TEXT, name TEXT, city TEXT, tag TEXT, at INTEGER, utm TEXT, page TEXT) WITHOUT ROWID
"""
_STATE = """
json_object('state', json_object('profile_id', person, 'revision', 1, 'language', 'en', 'timezone', NULL,
  'contacts', json_array(json_object('channel', 'email', 'account', '', 'address', address, 'identity', address,
    'contact_key', contact, 'abuse_key', abuse, 'verified_at', NULL, 'provenance', NULL)),
  'consents', json_array(json_object('purpose', 'marketing', 'channel', 'email', 'given', json('true'),
    'text_version', '1', 'at', at, 'source', 'form', 'contact_key', contact)),
  'fields', json_object('name', name, 'city', city), 'tags', json_array(tag), 'created_at', at, 'changed_at', at))
"""
_HEADERS = """
json_array(json_array('ce_specversion', '1.0'), json_array('ce_id', lower(hex(randomblob(16)))),
  json_array('ce_source', '/baitwell/profile'), json_array('ce_type', '{kind}'), json_array('ce_time', at),
  json_array('content-type', 'application/json'))
"""
_EFFECTS = (
    (
        "INSERT INTO handled_leads (lead_id, profile_id, bait_id, bait_slug, at)"
        " SELECT lead, person, bait, slug, at FROM stage"
    ),
    (
        "INSERT INTO profiles (id, revision, language, language_at, timezone, lead_count, created_at, changed_at)"
        " SELECT person, 1, 'en', at, NULL, 1, at, at FROM stage"
    ),
    (
        "INSERT INTO contacts (contact_key, profile_id, position, channel, account, address, identity, abuse_key,"
        " added_at, verified_at, provenance) SELECT contact, person, 0, 'email', '', address, address, abuse, at,"
        " NULL, NULL FROM stage ORDER BY contact"
    ),
    (
        "INSERT INTO field_values (profile_id, name, source, value, type, at, newest, text_value, number_value)"
        " SELECT person, 'name', 'bait:' || slug, json_quote(name), 'text', at, 1, lower(name), NULL FROM stage"
        " UNION ALL"
        " SELECT person, 'city', 'bait:' || slug, json_quote(city), 'text', at, 1, lower(city), NULL FROM stage"
    ),
    "INSERT INTO tags (profile_id, tag, source, at) SELECT person, tag, 'bait:' || slug, at FROM stage",
    (
        "INSERT INTO consents (profile_id, purpose, channel, contact_key, given, text_version, at, source)"
        " SELECT person, 'marketing', 'email', contact, 1, '1', at, 'form' FROM stage"
    ),
    (
        "INSERT INTO consent_entries (profile_id, id, contact_key, purpose, channel, given, text_version, at, source,"
        " effective, lead_id, proof) SELECT person, lower(hex(randomblob(16))), contact, 'marketing', 'email', 1, '1',"
        " at, 'form', 1, lead, json_object('form_version', 1, 'language', 'en', 'ip_hash', NULL, 'way', 'api',"
        " 'bait', slug, 'bait_version', 1) FROM stage"
    ),
    (
        "INSERT INTO timeline (profile_id, event_id, at, kind, document)"
        " SELECT person, lower(hex(randomblob(16))), at, 'lead.submitted', json_object('lead_id', lead, 'bait_id', bait,"
        " 'bait', slug, 'bait_version', 1, 'way', 'api', 'channels', json_array('email'), 'utm_source', utm,"
        " 'landing_page', page) FROM stage"
    ),
    "INSERT INTO outbox (topic, key, headers, value, written_at) SELECT 'profiles', person,"
    + _HEADERS.format(kind="baitwell.profile.changed.v1")
    + f", CAST({_STATE} AS BLOB), at FROM stage",
    "INSERT INTO outbox (topic, key, headers, value, written_at) SELECT 'profile-events', person,"
    + _HEADERS.format(kind="baitwell.profile.lead_accepted.v1")
    + ", CAST(json_object('profile_id', person, 'lead_id', lead, 'bait_id', bait, 'contact_keys',"
    " json_array(contact), 'new', json('true')) AS BLOB), at FROM stage",
    (
        "INSERT INTO positions (consumer, topic, partition, next) VALUES ('raw', 'leads', 0, 1)"
        " ON CONFLICT DO UPDATE SET next = next + 1"
    ),
)


def run(file: str, leads: list[bytes]) -> float:
    """Leads a second."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute(_STAGE)
        start = time.perf_counter()
        for first in range(0, len(leads), _BATCH):
            rows = [_row(from_json(lead)) for lead in leads[first : first + _BATCH]]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("DELETE FROM stage")
            connection.executemany(f"INSERT INTO stage VALUES ({', '.join('?' * 13)})", rows)
            for statement in _EFFECTS:
                connection.execute(statement)
            connection.execute("COMMIT")
        return len(leads) / (time.perf_counter() - start)


def _row(lead: dict[str, Any]) -> tuple[Any, ...]:
    (contact,), fields, source = lead["contacts"], lead["fields"], lead["source"]
    lead_id = lead["lead_id"].replace("-", "")
    return (
        lead_id,
        lead["bait_id"].replace("-", ""),
        lead["bait_slug"],
        lead_id,  # the person is as new as the lead
        contact["contact_key"],
        contact["abuse_key"],
        contact["address"],
        fields["name"],
        fields["city"],
        lead["tags"][0],
        int(lead_id[:12], 16) * 1000,
        source["utm_source"],
        source["landing_page"],
    )


def main() -> None:
    """The command."""
    sys.stdout.write(f"{run(sys.argv[1], sys.stdin.buffer.read().splitlines())}\n")


if __name__ == "__main__":
    main()

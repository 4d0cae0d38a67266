"""What push knows of the people in a profile database, in the order in which it heard of them."""

from pathlib import Path

from bench.made.stores import filling

_PROFILES = """
INSERT INTO reach_profiles (id, revision, language, zone, fields, alias_of, erased_at)
SELECT id, revision, language, timezone,
  (SELECT json_group_object(name, json(value)) FROM profile.field_values WHERE profile_id = p.id), NULL, NULL
FROM profile.profiles p
"""
_CONTACTS = """
INSERT INTO reach_contacts (contact_key, profile_id, channel, account, address, abuse_key, verified_at,
  provenance, marketing, agreed_at)
SELECT c.contact_key, c.profile_id, c.channel, account, address, abuse_key, verified_at, provenance,
  s.given, CASE WHEN s.given AND verified_at IS NOT NULL THEN s.at END
FROM profile.contacts c LEFT JOIN profile.consents s
  ON s.profile_id = c.profile_id AND s.contact_key = c.contact_key AND s.purpose = 'marketing'
ORDER BY c.profile_id, c.position
"""


def grow_reach(push: Path, profile: Path) -> None:
    """Fill push's view of who may be reached."""
    with filling(push, ("reach_profiles", "reach_contacts"), profile) as connection:
        connection.execute(_PROFILES)
        connection.execute(_CONTACTS)

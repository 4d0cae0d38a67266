"""People: profiles, their contacts, values and tags, found by contact key."""

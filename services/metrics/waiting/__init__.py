"""Engagements that are durable and not yet counted."""

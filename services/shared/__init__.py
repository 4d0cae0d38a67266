"""The ground every service stands on. It knows no service.

Order of imports, higher on lower only: values (clock, ids, errors, contact, correlation, events) →
resources (settings, database, bus, http, tokens, auth, telemetry, logs) → patterns (outbox, positions,
consumer, group_commit) → assembly (ground, app, web).
"""

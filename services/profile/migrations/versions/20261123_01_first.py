"""First."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "20261123_01_first"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "consent_entries",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_key", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("text_version", sa.String(length=128), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("effective", sa.Boolean(), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=True),
        sa.Column("proof", Document(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "consent_entries_pending",
        "consent_entries",
        ["lead_id"],
        unique=False,
        sqlite_where=sa.text("effective = 0"),
        postgresql_where=sa.text("NOT effective"),
    )
    op.create_table(
        "consents",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("contact_key", sa.String(length=64), nullable=False),
        sa.Column("given", sa.Boolean(), nullable=False),
        sa.Column("text_version", sa.String(length=128), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "purpose", "channel", "contact_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "consents_by_purpose",
        "consents",
        ["purpose", "channel", "given", "profile_id"],
        unique=False,
    )
    op.create_table(
        "contacts",
        sa.Column("contact_key", sa.String(length=64), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=128), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("identity", sa.String(length=320), nullable=False),
        sa.Column("abuse_key", sa.String(length=64), nullable=False),
        sa.Column("added_at", Moment(), nullable=False),
        sa.Column("verified_at", Moment(), nullable=True),
        sa.Column("provenance", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("contact_key"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "contacts_by_channel", "contacts", ["channel", "verified_at", "profile_id"], unique=False
    )
    op.create_index(
        "contacts_of_profile", "contacts", ["profile_id", "channel", "verified_at"], unique=False
    )
    op.create_table(
        "engagement_facts",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("fact_id", sa.Uuid(), nullable=False),
        sa.Column("bait_id", sa.Uuid(), nullable=True),
        sa.Column("campaign_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("profile_id", "kind", "at", "fact_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "engagement_facts_by_time", "engagement_facts", ["kind", "at", "profile_id"], unique=False
    )
    op.create_table(
        "field_values",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("value", Document(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("newest", sa.Boolean(), nullable=False),
        sa.Column("text_value", sa.String(length=200), nullable=True),
        sa.Column("number_value", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("profile_id", "name", "source"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "field_values_by_number",
        "field_values",
        ["name", "number_value", "profile_id"],
        unique=False,
        sqlite_where=sa.text("number_value IS NOT NULL"),
        postgresql_where=sa.text("number_value IS NOT NULL"),
    )
    op.create_index(
        "field_values_by_text",
        "field_values",
        ["name", "text_value", "profile_id"],
        unique=False,
        sqlite_where=sa.text("text_value IS NOT NULL"),
        postgresql_where=sa.text("text_value IS NOT NULL"),
    )
    op.create_table(
        "handled_leads",
        sa.Column("lead_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("bait_id", sa.Uuid(), nullable=False),
        sa.Column("bait_slug", sa.String(length=128), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("lead_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("leads_by_bait", "handled_leads", ["bait_slug", "profile_id"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "merge_candidates",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("lead_id", sa.Uuid(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "other_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("merge_candidates_of_other", "merge_candidates", ["other_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", Serial(), autoincrement=True, nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("headers", Document(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("written_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "parked",
        sa.Column("id", Serial(), autoincrement=True, nullable=False),
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("headers", Document(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("parked_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("parked_by_key", "parked", ["consumer", "topic", "key"], unique=False)
    op.create_index(
        "parked_once", "parked", ["consumer", "topic", "partition", "offset"], unique=True
    )
    op.create_table(
        "positions",
        sa.Column("consumer", sa.String(length=64), nullable=False),
        sa.Column("topic", sa.String(length=64), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", "partition"),
    )
    op.create_table(
        "profiles",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("language_at", Moment(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=True),
        sa.Column("lead_count", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_index("profiles_by_creation", "profiles", ["created_at", "id"], unique=False)
    op.create_table(
        "segments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rule", Document(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("retired_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("segments_by_creation", "segments", ["created_at", "id"], unique=False)
    op.create_table(
        "tags",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "tag"),
        sqlite_with_rowid=False,
    )
    op.create_index("tags_by_word", "tags", ["tag", "profile_id"], unique=False)
    op.create_table(
        "timeline",
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("document", Document(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("timeline_by_time", "timeline", ["profile_id", "at", "event_id"], unique=False)
    op.create_table(
        "waiting_notes",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("contact_key", sa.String(length=64), nullable=False),
        sa.Column("note", Document(), nullable=False),
        sa.Column("arrived_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("waiting_by_arrival", "waiting_notes", ["arrived_at"], unique=False)
    op.create_index("waiting_by_contact", "waiting_notes", ["contact_key"], unique=False)
    op.create_table(
        "words",
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("word", sa.String(length=128), nullable=False),
        sa.Column("detail", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("kind", "word"),
        sqlite_with_rowid=False,
    )

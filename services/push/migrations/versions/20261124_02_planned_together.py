"""Planned together."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "20261124_02_planned_together"
down_revision = "20261124_01_rules_mark"


def upgrade() -> None:
    op.drop_index(
        op.f("deliveries_once_per_profile"),
        table_name="deliveries",
        sqlite_where=sa.text("profile_id IS NOT NULL"),
    )
    op.create_index(
        "deliveries_once_per_profile",
        "deliveries",
        ["cause_kind", "cause_id", "profile_id", "channel"],
        unique=True,
        sqlite_where=sa.text("profile_id IS NOT NULL"),
        postgresql_where=sa.text("profile_id IS NOT NULL"),
    )
    op.create_index(
        "deliveries_waiting_without_campaign",
        "deliveries",
        ["profile_id"],
        unique=False,
        sqlite_where=sa.text(
            "campaign_id IS NULL AND profile_id IS NOT NULL AND state IN ('planned', 'held')"
        ),
        postgresql_where=sa.text(
            "campaign_id IS NULL AND profile_id IS NOT NULL AND state IN ('planned', 'held')"
        ),
    )

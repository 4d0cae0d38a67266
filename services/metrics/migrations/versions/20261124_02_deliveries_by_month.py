"""Deliveries by month."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "20261124_02_deliveries_by_month"
down_revision = "20261124_01_reports_by_due"


def upgrade() -> None:
    op.add_column(
        "deliveries", sa.Column("month", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.drop_index(op.f("ix_deliveries_contact_key"), table_name="deliveries")
    op.create_index("deliveries_by_contact", "deliveries", ["month", "contact_key"], unique=False)

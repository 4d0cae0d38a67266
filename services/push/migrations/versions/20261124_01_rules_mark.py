"""Rules mark."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "20261124_01_rules_mark"
down_revision = "20261123_01_first"


def upgrade() -> None:
    op.create_table(
        "rules_mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rules", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )

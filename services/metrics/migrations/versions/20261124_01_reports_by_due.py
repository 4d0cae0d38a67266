"""Reports by due."""

import sqlalchemy as sa
from alembic import op

from services.shared.database.types import Document, Moment, Serial

revision = "20261124_01_reports_by_due"
down_revision = "20261123_01_first"


def upgrade() -> None:
    op.create_index(
        "waiting_reports_by_due",
        "waiting_engagements",
        ["due"],
        unique=False,
        sqlite_where=sa.text("kind NOT IN ('engagement.displayed', 'engagement.clicked')"),
        postgresql_where=sa.text("kind NOT IN ('engagement.displayed', 'engagement.clicked')"),
    )

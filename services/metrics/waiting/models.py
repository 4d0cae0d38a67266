"""The table of what waits."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlmodel import Field

from services.metrics.tables import MetricsTable
from services.shared.database import Document, Moment

NOT_TRACKED = "kind NOT IN ('engagement.displayed', 'engagement.clicked')"


class Waiting(MetricsTable, table=True):
    """An engagement that is durable and not yet counted, or counted as unattributed (`counted`).

    It is looked at when it is `due`: a click when its classing window has closed, what nobody knows
    yet again and again, and at once when the outcome, lead or profile arrives. `said`: its event is
    already in the outbox. `reason`: why the request itself looked like a machine's, or "".
    """

    __tablename__ = "waiting_engagements"
    __table_args__ = (
        Index("waiting_by_due", "due"),
        # what people report is looked for among many clicks and opens: it has an index of its own
        Index(
            "waiting_reports_by_due",
            "due",
            sqlite_where=text(NOT_TRACKED),
            postgresql_where=text(NOT_TRACKED),
        ),
        Index("waiting_by_delivery", "delivery_id"),
        Index(
            "waiting_by_contact",
            "contact_key",
            sqlite_where=text("contact_key IS NOT NULL"),
            postgresql_where=text("contact_key IS NOT NULL"),
        ),
        Index(
            "waiting_by_profile",
            "profile_id",
            sqlite_where=text("profile_id IS NOT NULL"),
            postgresql_where=text("profile_id IS NOT NULL"),
        ),
    )

    id: UUID = Field(primary_key=True)
    kind: str = Field(max_length=40)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    due: datetime = Field(sa_column=Column(Moment, nullable=False))
    delivery_id: UUID | None = None
    contact_key: str | None = Field(default=None, max_length=64)
    profile_id: UUID | None = None
    said: bool = False
    counted: bool = False
    reason: str = Field(default="", max_length=40)
    document: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))

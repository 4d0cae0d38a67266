"""What is kept of reports so that a repeat gets the same answer."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field

from services.metrics.tables import MetricsTable
from services.shared.database import Document, Moment


class KeptAnswer(MetricsTable, table=True):
    """The answer to a request with an Idempotency-Key, kept 7 days."""

    __tablename__ = "idempotency"

    caller: UUID = Field(primary_key=True)
    key: str = Field(primary_key=True, max_length=255)
    body_hash: str = Field(max_length=64)
    answer: dict[str, Any] = Field(sa_column=Column(Document(), nullable=False))
    at: datetime = Field(sa_column=Column(Moment, nullable=False, index=True))

"""The ledger's tables."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    String,
    TextClause,
    literal_column,
    text,
)
from sqlmodel import Field

from services.push.deliveries.states import OPEN, TAKEN, WAITING, State
from services.push.tables import PushTable
from services.shared.database import Document, Moment


def standing_in(states: Iterable[State], state: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a row stands in one of `states`, written so that a partial index answers it.

    Neither database can tell that a bound parameter satisfies an index's condition.
    """
    return state.in_([literal_column(f"'{one.value}'") for one in states])


def _condition(states: Iterable[State]) -> TextClause:
    return text("state IN (" + ", ".join(f"'{one.value}'" for one in states) + ")")


_WAITING = _condition(WAITING)
_TAKEN = _condition(TAKEN)
_OPEN = _condition(OPEN)
_UNKNOWN = _condition((State.UNKNOWN,))
_WITH_ADDRESS = text("address IS NOT NULL")
_OF_PROFILE = text("profile_id IS NOT NULL")
_WITHOUT_CAMPAIGN = text(f"campaign_id IS NULL AND profile_id IS NOT NULL AND {_WAITING}")


class Delivery(PushTable, table=True):
    """One message to one contact of one profile for one cause.

    `marketing` messages are asked every question of the policy. `address` stands only where no profile
    holds it (and no longer than the message is open), `code` is the provider's last one. `attempt`
    counts attempts that were spent; `sending_at` is when the last one was marked.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("deliveries_once", "cause_kind", "cause_id", "contact_key", unique=True),
        Index(
            "deliveries_once_per_profile",
            # the cause first: what is planned together stands together, whoever it is for
            "cause_kind",
            "cause_id",
            "profile_id",
            "channel",
            unique=True,
            sqlite_where=_OF_PROFILE,
            postgresql_where=_OF_PROFILE,
        ),
        Index(
            # the policy looks for what else waits for a person; of campaigns it knows the cause
            "deliveries_waiting_without_campaign",
            "profile_id",
            sqlite_where=_WITHOUT_CAMPAIGN,
            postgresql_where=_WITHOUT_CAMPAIGN,
        ),
        Index(
            "deliveries_due",
            "marketing",
            "priority",
            "channel",
            "not_before",
            "state",
            sqlite_where=_WAITING,
            postgresql_where=_WAITING,
        ),
        Index("deliveries_taken", "lease_until", sqlite_where=_TAKEN, postgresql_where=_TAKEN),
        Index("deliveries_unknown", "channel", sqlite_where=_UNKNOWN, postgresql_where=_UNKNOWN),
        Index(
            "deliveries_with_address",
            "contact_key",
            sqlite_where=_WITH_ADDRESS,
            postgresql_where=_WITH_ADDRESS,
        ),
        Index("deliveries_by_campaign", "campaign_id", "id"),
        Index("deliveries_open", "campaign_id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    )

    id: UUID = Field(primary_key=True)
    cause_kind: str = Field(max_length=16)
    cause_id: str = Field(max_length=128)
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    profile_id: UUID | None = None
    contact_key: str = Field(max_length=64)
    abuse_key: str | None = Field(default=None, max_length=64)
    channel: str = Field(max_length=16)
    address: str | None = Field(default=None, max_length=320)
    template_version_id: UUID | None = None
    built_in: str | None = Field(default=None, max_length=32)
    values: dict[str, Any] = Field(sa_column=Column("vals", Document(), nullable=False))
    language: str = Field(max_length=16)
    marketing: bool
    capped: bool
    priority: int
    verified: bool
    state: str = Field(max_length=16)
    reason: str | None = Field(default=None, max_length=64)
    code: str | None = Field(default=None, max_length=64)
    provider_id: str | None = Field(default=None, max_length=320)
    not_before: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    attempt: int
    claim_token: UUID | None = None
    lease_until: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    sending_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    expires_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    updated_at: datetime = Field(sa_column=Column(Moment, nullable=False))


class DeliveryTrace(PushTable, table=True):
    """Decisions that the ledger's row has since written over: everything but planned, the last mark and sent."""

    __tablename__ = "delivery_trace"
    __table_args__ = (Index("delivery_trace_of", "delivery_id"), {"sqlite_autoincrement": True})

    id: int | None = Field(
        default=None,
        sa_column=Column(
            BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
    )
    delivery_id: UUID
    at: datetime = Field(sa_column=Column(Moment, nullable=False))
    state: str = Field(max_length=16)
    reason: str | None = Field(default=None, max_length=64)
    code: str | None = Field(default=None, max_length=64)
    detail: str | None = Field(default=None, max_length=200)
    attempt: int
    until: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class CampaignHalt(PushTable, table=True):
    """A campaign whose rows are not sent now: `state` is paused, cancelled, or resuming.

    It stands beside the campaign, so that a halt acts at once, before the rows are moved in steps.
    """

    __tablename__ = "campaign_halts"

    campaign_id: UUID = Field(primary_key=True)
    state: str = Field(sa_column=Column(String(16), nullable=False))
    reason: str = Field(max_length=64)
    at: datetime = Field(sa_column=Column(Moment, nullable=False))


class ClockMark(PushTable, table=True):
    """The last time that was written, and how often an operator has confirmed the wall clock."""

    __tablename__ = "clock_mark"

    id: int = Field(primary_key=True)
    written_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    confirmed: int

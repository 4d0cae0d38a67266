"""What the policy reserves: places under a cap, and mails under the limits against mail bombing; its rules."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Date, Index, UniqueConstraint
from sqlmodel import Field

from services.push.tables import PushTable
from services.shared.database import Moment


class CapSlot(PushTable, table=True):
    """One message of a profile's day and week (days of the installation's time zone, weeks from Monday).

    The two unique numbers are the reservation: no two campaigns can both take the last one.
    """

    __tablename__ = "cap_slots"
    __table_args__ = (UniqueConstraint("profile_id", "day", "day_slot"),)

    profile_id: UUID = Field(primary_key=True)
    week: date = Field(sa_column=Column(Date, primary_key=True))
    week_slot: int = Field(primary_key=True)
    day: date = Field(sa_column=Column(Date, nullable=False))
    day_slot: int
    delivery_id: UUID


class MailLimit(PushTable, table=True):
    """A mail that counts under S8, by abuse key. `number` is unique: two can't both be the next one."""

    __tablename__ = "mail_limits"
    __table_args__ = (Index("mail_limits_of_delivery", "delivery_id"),)

    abuse_key: str = Field(max_length=64, primary_key=True)
    number: int = Field(primary_key=True)
    sent_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    bait_id: UUID | None = None
    delivery_id: UUID


class RulesMark(PushTable, table=True):
    """The rules by which messages were held last, in one row."""

    __tablename__ = "rules_mark"

    id: int = Field(primary_key=True)
    rules: str = Field(max_length=200)

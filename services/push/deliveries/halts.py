"""Pausing, resuming and cancelling a campaign in the ledger: at once by a mark, then row by row in steps.

The claim and the transaction that marks messages `sending` both look at the mark, so nothing more goes
out from its commit on; `sweep` moves the rows afterwards, a few at a time.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Literal, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.deliveries.models import CampaignHalt
from services.push.sets import dialect_of
from services.shared.database.base import WAKE, Dialect
from services.shared.database.ready import Ready

HALTS = CampaignHalt.__table__  # type: ignore[attr-defined]  # what SQLModel adds

PauseCampaign = Callable[[Session, UUID, str, datetime], None]
"""Told, inside the ledger's transaction, that a campaign can't go on, and why; it is halted already."""

Halt = Literal["paused", "cancelled", "resuming"]


def pause(session: Session, campaign_id: UUID, reason: str, now: datetime) -> None:
    """Send nothing of a campaign from now on; its waiting rows become held."""
    _set(session, campaign_id, "paused", reason, now)


def cancel(session: Session, campaign_id: UUID, reason: str, now: datetime) -> None:
    """Drop what a campaign has not sent yet."""
    _set(session, campaign_id, "cancelled", reason, now)


def resume(session: Session, campaign_id: UUID, now: datetime) -> None:
    """Let a paused campaign go on: its held rows return to planned. A cancelled one stays so."""
    halted = halts(session).get(campaign_id)
    if halted is not None and halted.state == "paused":
        _set(session, campaign_id, "resuming", "resumed", now)


class Halted(NamedTuple):
    """How a campaign is halted, and since when."""

    campaign_id: UUID
    state: Halt
    at: datetime


@cache
def _all(_dialect: Dialect, locked: bool) -> Ready:
    rows = select(HALTS.c.campaign_id, HALTS.c.state, HALTS.c.at)
    return Ready(rows.with_for_update(read=True) if locked else rows)


def halts(session: Session, *, locked: bool = False) -> dict[UUID, Halted]:
    """The campaigns that are halted or whose rows still move. `locked`: none changes before our commit."""
    dialect = dialect_of(session)
    found = _all(dialect, locked and dialect == "postgresql").rows(session, {})
    return {row[0]: Halted._make(row) for row in found}


def forget(session: Session, halted: Halted) -> None:
    """The rows of a resumed campaign have moved: nothing of it has to be looked at any more."""
    session.execute(
        delete(HALTS).where(
            HALTS.c.campaign_id == halted.campaign_id,
            HALTS.c.state == halted.state,
            HALTS.c.at == halted.at,
        )
    )


def _set(session: Session, campaign_id: UUID, state: Halt, reason: str, now: datetime) -> None:
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    values = {"state": state, "reason": reason, "at": now}
    statement = insert(HALTS).values(campaign_id=campaign_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["campaign_id"], set_=values))
    session.info[WAKE] = True

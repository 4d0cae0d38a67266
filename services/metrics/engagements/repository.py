"""The answers kept for requests that are repeated."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlmodel import Session

from services.metrics.engagements.models import KeptAnswer
from services.metrics.tables import columns, upsert

_ANSWER: Any = columns(KeptAnswer)

KEPT_FOR = timedelta(days=7)


def kept(session: Session, caller: UUID, key: str) -> KeptAnswer | None:
    return (
        session.execute(select(KeptAnswer).where(_ANSWER.caller == caller, _ANSWER.key == key))
        .scalars()
        .first()
    )


def keep(session: Session, row: KeptAnswer) -> bool:
    """Keep an answer; False when another request with this key was first."""
    values: dict[str, Any] = row.model_dump()
    made = session.execute(upsert(session, KeptAnswer).values(values).on_conflict_do_nothing())
    return bool(made.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def forget_old(session: Session, now: datetime) -> None:
    session.execute(delete(KeptAnswer).where(_ANSWER.at < now - KEPT_FOR))

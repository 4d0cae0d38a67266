"""Into the ledger: wishes become planned deliveries, each cause and person once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Integer, String, Text, Uuid, cast, literal, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from services.push.deliveries.models import Delivery
from services.push.deliveries.states import State
from services.push.sets import RowSet, dialect_of
from services.shared.database import Moment
from services.shared.database.base import WAKE, Dialect
from services.shared.events.parts import CauseKind
from services.shared.ids import Ids

DEFAULT_PRIORITY = 5
"""Of marketing messages: 1 is the most important, 9 the least. Others are claimed before all of them."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A message that is wanted. Content: `template_version_id`, or `built_in`, a name of push's own.

    `values` are variables that go before the person's fields. `marketing` messages are asked every
    question of the policy, `capped` ones also the cap. `address` is given where no profile has it.
    """

    cause_kind: CauseKind
    cause_id: str
    contact_key: str
    channel: str
    language: str
    marketing: bool
    template_version_id: UUID | None = None
    built_in: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    profile_id: UUID | None = None
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    address: str | None = None
    abuse_key: str | None = None
    capped: bool = True
    priority: int = DEFAULT_PRIORITY
    verified: bool = False
    not_before: datetime | None = None
    expires_at: datetime | None = None


_COLUMNS: dict[str, TypeEngine[Any]] = {
    "id": Uuid(),
    "cause_kind": String(),
    "cause_id": String(),
    "contact_key": String(),
    "channel": String(),
    "language": String(),
    "marketing": Boolean(),
    "template_version_id": Uuid(),
    "built_in": String(),
    "vals": Text(),
    "profile_id": Uuid(),
    "campaign_id": Uuid(),
    "bait_id": Uuid(),
    "address": String(),
    "abuse_key": String(),
    "capped": Boolean(),
    "priority": Integer(),
    "verified": Boolean(),
    "not_before": Moment(),
    "expires_at": Moment(),
    "created_at": Moment(),
}


@cache
def _statement(dialect: Dialect) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", **_COLUMNS)
    picked = [given.table.c[name] for name in _COLUMNS if name != "vals"]
    postgres = dialect == "postgresql"
    vals = cast(given.vals, JSONB()) if postgres else given.vals
    rows = select(
        *picked,
        vals.label("vals"),
        literal(State.PLANNED.value).label("state"),
        literal(0).label("attempt"),
        given.created_at.label("updated_at"),
    ).where(true())
    names = [name for name in _COLUMNS if name != "vals"]
    names += ["vals", "state", "attempt", "updated_at"]
    insert = insert_postgresql if postgres else insert_sqlite
    ledger = Delivery.__table__  # type: ignore[attr-defined]  # what SQLModel adds
    statement = insert(ledger).from_select(names, rows, include_defaults=False)
    return given, statement.on_conflict_do_nothing().returning(ledger.c.id, ledger.c.contact_key)


def plan(session: Session, wishes: Sequence[Wish], ids: Ids, now: datetime) -> dict[str, UUID]:
    """Plan deliveries; those that their cause has already are left as they are.

    The ids of the new ones, by contact key. Wakes the dispatchers after the commit.
    """
    if not wishes:
        return {}
    given, statement = _statement(dialect_of(session))
    rows = [
        (
            ids.new(),
            wish.cause_kind,
            wish.cause_id,
            wish.contact_key,
            wish.channel,
            wish.language,
            wish.marketing,
            wish.template_version_id,
            wish.built_in,
            json.dumps(dict(wish.values), ensure_ascii=False),
            wish.profile_id,
            wish.campaign_id,
            wish.bait_id,
            wish.address,
            wish.abuse_key,
            wish.capped,
            wish.priority if wish.marketing else 0,
            wish.verified,
            wish.not_before or now,
            wish.expires_at,
            now,
        )
        for wish in wishes
    ]
    made = session.execute(statement, given.bind(rows)).all()
    session.info[WAKE] = True
    return {contact_key: delivery_id for delivery_id, contact_key in made}

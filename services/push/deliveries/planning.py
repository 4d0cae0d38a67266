"""Into the ledger: wishes become planned deliveries, each cause and person once."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    String,
    Text,
    Uuid,
    bindparam,
    cast,
    literal,
    select,
    true,
)
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

LEDGER = Delivery.__table__  # type: ignore[attr-defined]  # what SQLModel adds

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


PERSONAL = ("id", "contact_key", "language", "profile_id")
"""The columns in which the messages to many people for one wish differ."""


class Person(NamedTuple):
    """One of those that a wish is for: how they are reached, in which language, and who they are."""

    contact_key: str
    language: str
    profile_id: UUID


def insert_shared(dialect: Dialect, own: Mapping[str, ColumnElement[Any]], source: Any) -> Any:
    """Insert a delivery for each row of `source`, but for those that their cause has already.

    `own` are the columns in which the rows differ; the others are bound once, by `shared_values`.
    """
    postgres = dialect == "postgresql"

    def value(name: str) -> Any:
        found = own[name] if name in own else bindparam(f"all_{name}", type_=_COLUMNS[name])
        return cast(found, JSONB()) if postgres and name == "vals" else found

    rows = select(
        *[value(name) for name in _COLUMNS],
        literal(State.PLANNED.value),
        literal(0),
        value("created_at"),
    ).select_from(source)
    names = [*_COLUMNS, "state", "attempt", "updated_at"]
    insert = insert_postgresql if postgres else insert_sqlite
    # SQLite takes ON CONFLICT after a SELECT only where that has a WHERE
    statement = insert(LEDGER).from_select(names, rows.where(true()), include_defaults=False)
    return statement.on_conflict_do_nothing()


def shared_values(wish: Wish, now: datetime, own: Collection[str]) -> dict[str, Any]:
    """The parameters of `insert_shared` for all columns but `own`."""
    row = _row(wish, None, now)
    return {f"all_{name}": row[name] for name in _COLUMNS if name not in own}


@cache
def _statement(dialect: Dialect, own: tuple[str, ...]) -> tuple[RowSet, Any]:
    given = RowSet(dialect, "given", **{name: _COLUMNS[name] for name in own})
    columns = {name: given.table.c[name] for name in own}
    return given, insert_shared(dialect, columns, given.table)


@cache
def _telling(dialect: Dialect) -> tuple[RowSet, Any]:
    given, statement = _statement(dialect, tuple(_COLUMNS))
    return given, statement.returning(LEDGER.c.id, LEDGER.c.contact_key)


def plan(session: Session, wishes: Sequence[Wish], ids: Ids, now: datetime) -> dict[str, UUID]:
    """Plan deliveries; those that their cause has already are left as they are.

    The ids of the new ones, by contact key. Wakes the dispatchers after the commit.
    """
    if not wishes:
        return {}
    given, statement = _telling(dialect_of(session))
    rows = [tuple(_row(wish, ids.new(), now).values()) for wish in wishes]
    made = session.execute(statement, given.bind(rows)).all()
    session.info[WAKE] = True
    return {contact_key: delivery_id for delivery_id, contact_key in made}


def plan_for(
    session: Session, wish: Wish, people: Sequence[Person], ids: Ids, now: datetime
) -> int:
    """Plan one delivery of `wish` for each of `people`, as `plan` does; how many are new.

    Their contact, language and profile stand in place of those of `wish`.
    """
    if not people:
        return 0
    given, statement = _statement(dialect_of(session), PERSONAL)
    parameters = given.bind([(ids.new(), *person) for person in people])
    parameters |= shared_values(wish, now, PERSONAL)
    made = session.execute(statement, parameters)
    session.info[WAKE] = True
    return int(made.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def _row(wish: Wish, id_: UUID | None, now: datetime) -> dict[str, Any]:
    """The values of `_COLUMNS`, in their order."""
    return {
        "id": id_,
        "cause_kind": wish.cause_kind,
        "cause_id": wish.cause_id,
        "contact_key": wish.contact_key,
        "channel": wish.channel,
        "language": wish.language,
        "marketing": wish.marketing,
        "template_version_id": wish.template_version_id,
        "built_in": wish.built_in,
        "vals": json.dumps(dict(wish.values), ensure_ascii=False),
        "profile_id": wish.profile_id,
        "campaign_id": wish.campaign_id,
        "bait_id": wish.bait_id,
        "address": wish.address,
        "abuse_key": wish.abuse_key,
        "capped": wish.capped,
        "priority": wish.priority if wish.marketing else 0,
        "verified": wish.verified,
        "not_before": wish.not_before or now,
        "expires_at": wish.expires_at,
        "created_at": now,
    }

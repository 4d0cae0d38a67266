"""Parked records: those that their consumer could not handle, and those that came behind them."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    column,
    delete,
    func,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.shared.database import Document, Moment
from services.shared.database.base import Dialect, dialect_of
from services.shared.database.ready import Ready
from services.shared.events import Record

PARKED = table(
    "parked",
    column("id", BigInteger),
    column("consumer", String),
    column("topic", String),
    column("partition", Integer),
    column("offset", BigInteger),
    column("key", String),
    column("headers", Document()),
    column("value", LargeBinary),
    column("reason", String),
    column("attempts", Integer),
    column("parked_at", Moment),
)

_KEY = 128  # letters; what the column holds

BEHIND = "behind a parked record of the same key"


def park(
    session: Session,
    consumer: str,
    records: Sequence[Record],
    reason: str,
    attempts: int,
    at: datetime,
) -> None:
    """Put records aside, in the transaction that moves the position past them.

    One that is parked already (its position was set back) is left as it is.
    """
    insert = insert_postgresql if session.get_bind().dialect.name == "postgresql" else insert_sqlite
    session.execute(
        insert(PARKED).on_conflict_do_nothing(),
        [
            {
                "consumer": consumer,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "key": filed(record.key),
                "headers": _storable(record.headers),
                "value": record.value,
                "reason": reason[:500],
                "attempts": attempts,
                "parked_at": at,
            }
            for record in records
        ],
    )


def filed(key: str) -> str:
    """The key under which a record is parked: its own, unless the table can't hold that."""
    if len(key) <= _KEY and "\x00" not in key:
        return key
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def _storable(headers: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Headers as JSON that PostgreSQL takes, too: it has no NUL."""
    return [[part.replace("\x00", "\ufffd") for part in pair] for pair in headers]


def has_any(session: Session, consumer: str) -> bool:
    """Whether any record of a consumer is parked."""
    return bool(_any(dialect_of(session)).rows(session, {"consumer": consumer}))


@cache
def _any(_dialect: Dialect) -> Ready:
    return Ready(select(PARKED.c.id).where(PARKED.c.consumer == bindparam("consumer")).limit(1))


def parked_keys(session: Session, consumer: str, topic: str, keys: Sequence[str]) -> frozenset[str]:
    """Those of `keys` (as `filed`) that have a parked record."""
    rows = session.execute(
        select(PARKED.c.key)
        .where(and_(PARKED.c.consumer == consumer, PARKED.c.topic == topic, PARKED.c.key.in_(keys)))
        .distinct()
    )
    return frozenset(rows.scalars())


def listing(session: Session, limit: int = 100) -> Sequence[Any]:
    """The oldest parked records: everything but their payload."""
    return session.execute(
        select(
            PARKED.c.id,
            PARKED.c.consumer,
            PARKED.c.topic,
            PARKED.c.partition,
            PARKED.c.offset,
            PARKED.c.key,
            PARKED.c.reason,
            PARKED.c.attempts,
            PARKED.c.parked_at,
        )
        .order_by(PARKED.c.id)
        .limit(limit)
    ).all()


def count(session: Session) -> dict[tuple[str, str], int]:
    """How many records are parked, by consumer and topic."""
    rows = session.execute(
        select(PARKED.c.consumer, PARKED.c.topic, func.count()).group_by(
            PARKED.c.consumer, PARKED.c.topic
        )
    )
    return {(consumer, topic): number for consumer, topic, number in rows}


def oldest_of_each_key(
    session: Session, consumer: str, after: int = 0, limit: int = 100
) -> list[tuple[int, Record]]:
    """The oldest parked record of every key, those with a number over `after`, in that order."""
    first = (
        select(func.min(PARKED.c.id))
        .where(PARKED.c.consumer == consumer)
        .group_by(PARKED.c.topic, PARKED.c.key)
        .having(func.min(PARKED.c.id) > after)
    )
    rows = session.execute(
        select(PARKED).where(PARKED.c.id.in_(first)).order_by(PARKED.c.id).limit(limit)
    )
    return [(row.id, _record(row)) for row in rows]


def oldest_of_key(
    session: Session, consumer: str, topic: str, key: str
) -> tuple[int, Record] | None:
    """The oldest parked record of one key."""
    row = session.execute(
        select(PARKED)
        .where(and_(PARKED.c.consumer == consumer, PARKED.c.topic == topic, PARKED.c.key == key))
        .order_by(PARKED.c.id)
        .limit(1)
    ).first()
    return (row.id, _record(row)) if row else None


def remove(session: Session, parked_id: int) -> bool:
    """Take a record out of the parked ones; False when somebody else has."""
    result = session.execute(delete(PARKED).where(PARKED.c.id == parked_id))
    return bool(result.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def _record(row: Any) -> Record:
    headers = tuple((name, value) for name, value in row.headers)
    return Record(row.topic, row.partition, row.offset, row.key, headers, row.value)

"""Column types that mean the same on both databases, and the tables that every service has."""

from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from services.shared.clock import from_micros, to_micros
from services.shared.ids import uuid_of


def write_json(value: Any) -> str:
    """A document as text; several times quicker than the standard library, which every event would pay."""
    return to_json(value).decode()


def read_json(text: str | bytes) -> Any:
    """The document of a text."""
    return from_json(text)


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime: integer microseconds in SQLite, `timestamptz` in PostgreSQL."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(BigInteger())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value if dialect.name == "postgresql" else to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value  # type: ignore[no-any-return]  # asyncpg gives aware datetimes
        return from_micros(value)


class HexUuid(Uuid[Any]):
    """How SQLite's engine reads `Uuid` columns: 32 digits become a `UUID` the short way."""

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:  # noqa: ARG002  # as SQLAlchemy calls it
        return lambda digits: None if digits is None else uuid_of(digits)


def Document() -> TypeEngine[Any]:  # noqa: N802  # reads as the type that it is
    """A JSON document: text in SQLite, `jsonb` in PostgreSQL."""
    return JSON().with_variant(JSONB(), "postgresql")


def Serial() -> TypeEngine[Any]:  # noqa: N802  # reads as the type that it is
    """A growing number that SQLite and PostgreSQL both fill in by themselves."""
    return BigInteger().with_variant(Integer(), "sqlite")


def ground_tables(metadata: MetaData) -> None:
    """Add to a service's tables those that every service has: outbox, lease, positions, parked."""
    Table(
        "outbox",
        metadata,
        Column("id", Serial(), primary_key=True, autoincrement=True),
        Column("topic", String(64), nullable=False),
        Column("key", String(128), nullable=False),
        Column("headers", Document(), nullable=False),
        Column("value", LargeBinary, nullable=True),
        Column("written_at", Moment, nullable=False),
        sqlite_autoincrement=True,
    )
    Table(
        "leases",
        metadata,
        Column("name", String(64), primary_key=True),
        Column("holder", String(64), nullable=False),
        Column("until", Moment, nullable=False),
    )
    Table(
        "positions",
        metadata,
        Column("consumer", String(64), primary_key=True),
        Column("topic", String(64), primary_key=True),
        Column("partition", Integer, primary_key=True),
        Column("next", BigInteger, nullable=False),
    )
    parked = Table(
        "parked",
        metadata,
        Column("id", Serial(), primary_key=True, autoincrement=True),
        Column("consumer", String(64), nullable=False),
        Column("topic", String(64), nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("key", String(128), nullable=False),
        Column("headers", Document(), nullable=False),
        Column("value", LargeBinary, nullable=True),
        Column("reason", String(500), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("parked_at", Moment, nullable=False),
        sqlite_autoincrement=True,
    )
    Index("parked_by_key", parked.c.consumer, parked.c.topic, parked.c.key)
    Index(
        "parked_once",
        parked.c.consumer,
        parked.c.topic,
        parked.c.partition,
        parked.c.offset,
        unique=True,
    )

"""The tables of the auth store."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, MetaData
from sqlmodel import Field, SQLModel

from services.shared.database import Document, Moment

metadata = MetaData()


class _Table(SQLModel):
    metadata = metadata


class ApiKey(_Table, table=True):
    """A key, kept as the SHA-256 of its secret (a random secret needs no slow hash)."""

    __tablename__ = "api_keys"

    id: UUID = Field(primary_key=True)
    name: str
    secret_hash: str = Field(unique=True)
    scopes: list[str] = Field(sa_column=Column(Document(), nullable=False))
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(Moment, nullable=True))


class OperatorSession(_Table, table=True):
    """A log-in by an admin or read key, kept as the SHA-256 of the cookie."""

    __tablename__ = "operator_sessions"

    id: UUID = Field(primary_key=True)
    secret_hash: str = Field(unique=True)
    key_id: UUID
    created_at: datetime = Field(sa_column=Column(Moment, nullable=False))
    expires_at: datetime = Field(sa_column=Column(Moment, nullable=False))

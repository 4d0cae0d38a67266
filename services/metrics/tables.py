"""The base of metrics' tables: every noun's models stand on it, `models.py` gathers them."""

from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, SQLModel

from services.shared.database import ground_tables

metadata = MetaData()
ground_tables(metadata)


class MetricsTable(SQLModel):
    """A row of metrics' own database."""

    metadata = metadata


def columns(model: type[MetricsTable]) -> Any:
    """The columns of a model, for statements: a model's attributes are typed as values."""
    return model.__table__.c  # type: ignore[attr-defined]  # SQLModel's


def upsert(session: Session, model: Any) -> Any:
    """An `insert` that can say what to do on a conflict, in the session's dialect."""
    dialect = session.get_bind().dialect.name
    return insert_postgresql(model) if dialect == "postgresql" else insert_sqlite(model)

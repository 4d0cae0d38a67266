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


def table(model: type[MetricsTable]) -> Any:
    """The table of a model. Many rows at once go there: the ORM's own way costs as much as the rows."""
    return model.__table__  # type: ignore[attr-defined]  # SQLModel's


def columns(model: type[MetricsTable]) -> Any:
    """The columns of a model, for statements: a model's attributes are typed as values."""
    return table(model).c


def upsert(session: Session, model: type[MetricsTable]) -> Any:
    """An `insert` that can say what to do on a conflict, in the session's dialect."""
    if session.get_bind().dialect.name == "postgresql":
        return insert_postgresql(table(model))
    return insert_sqlite(table(model))

"""What every table of profile stands on."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from sqlalchemy import MetaData
from sqlalchemy import Table as SqlTable
from sqlmodel import Session, SQLModel

metadata = MetaData()

Row = dict[str, Any]
T = TypeVar("T")

_MANY = 5000  # bound parameters of one IN list: both databases allow over 32,000


class Table(SQLModel):
    """The base of profile's tables: they are known to its own metadata only."""

    metadata = metadata


def table_of(model: type[Table]) -> SqlTable:
    """The Core table behind a model."""
    return metadata.tables[str(model.__tablename__)]


def dialect_of(session: Session) -> str:
    """`sqlite` or `postgresql`."""
    return session.get_bind().dialect.name


def portions(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists that fit into one IN."""
    pending = list(values)
    for start in range(0, len(pending), _MANY):
        yield pending[start : start + _MANY]

"""A set of rows handed to one statement: a JSON text on SQLite, one array per column on PostgreSQL.

The statement's text does not change with the number of rows, so it is compiled once; and a row's own
values take part in joins, which an `executemany` can't say.
"""

from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine
from sqlmodel import Session

from services.shared.database.base import Dialect
from services.shared.database.rows import Convert, converter_of
from services.shared.database.types import write_json


class RowSet:
    """Rows as a table with the given columns; make one per statement and dialect, and keep it."""

    def __init__(self, dialect: Dialect, name: str, **columns: TypeEngine[Any]) -> None:
        self._dialect = dialect
        self._name = name
        self._names = tuple(columns)
        self._converters = [_plain(kind) for kind in columns.values()]
        self.table: FromClause = (
            _arrays(name, columns) if dialect == "postgresql" else _json(name, columns)
        )

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        return self.table.c[name]

    def bind(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """The parameters that stand for `rows`; their values are in the order of the columns."""
        turned = list(zip(*rows, strict=True)) or [()] * len(self._names)
        if self._dialect == "sqlite":
            plain = [
                values
                if convert is None
                else [None if value is None else convert(value) for value in values]
                for values, convert in zip(turned, self._converters, strict=True)
            ]
            return {self._name: write_json(list(zip(*plain, strict=True)))}
        return {
            f"{self._name}_{name}": list(values)
            for name, values in zip(self._names, turned, strict=True)
        }


def _json(name: str, columns: dict[str, TypeEngine[Any]]) -> FromClause:
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=f"{name}_each")
    return select(
        *[
            type_coerce(
                func.json_extract(each.c.value, literal_column(f"'$[{place}]'")), kind
            ).label(column_name)
            for place, (column_name, kind) in enumerate(columns.items())
        ]
    ).subquery(name)


def _arrays(name: str, columns: dict[str, TypeEngine[Any]]) -> FromClause:
    arrays = [
        bindparam(f"{name}_{column_name}", type_=ARRAY(kind))
        for column_name, kind in columns.items()
    ]
    return (
        func.unnest(*arrays)
        .table_valued(*[column(column_name, kind) for column_name, kind in columns.items()])
        .render_derived(name=name)
    )


def _plain(kind: TypeEngine[Any]) -> Convert | None:
    """How a column's values are written into the JSON text."""
    return date.isoformat if isinstance(kind, Date) else converter_of(kind, "sqlite")


@cache
def _dialect(name: str) -> Dialect:
    return "postgresql" if name == "postgresql" else "sqlite"


def dialect_of(session: Session) -> Dialect:
    """Which of the two databases a session speaks to."""
    return _dialect(session.get_bind().dialect.name)

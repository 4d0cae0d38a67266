"""A set of rows handed to one statement: a JSON text on SQLite, one array per column on PostgreSQL.

The statement's text does not change with the number of rows, so it is compiled once; and a row's own
values take part in joins, which an `executemany` can't say. SQLite takes a JSON list of rows apart anew for
each of their columns: what is hot has one column, or two (`PairSet`), and binds once what its rows share.
"""

from collections.abc import Sequence
from datetime import date
from json.encoder import encode_basestring_ascii
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    FromClause,
    TableValuedAlias,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import TypeEngine

from services.shared.database.base import Dialect, dialect_of
from services.shared.database.ready import Ready
from services.shared.database.rows import Convert, converted, converter_of
from services.shared.database.types import write_json

__all__ = ["PairSet", "Ready", "RowSet", "dialect_of"]


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
                values if convert is None else converted(values, convert, nullable=True)
                for values, convert in zip(turned, self._converters, strict=True)
            ]
            listed = plain[0] if len(plain) == 1 else list(zip(*plain, strict=True))
            return {self._name: write_json(listed)}
        return {
            f"{self._name}_{name}": list(values)
            for name, values in zip(self._names, turned, strict=True)
        }


class PairSet:
    """Rows of two columns, the first an id: on SQLite one JSON object, which is read without taking it apart."""

    def __init__(
        self, dialect: Dialect, name: str, key: str, value: str, kind: TypeEngine[Any]
    ) -> None:
        self._dialect = dialect
        self._name = name
        self._columns = (key, value)
        if dialect == "postgresql":
            self.table: FromClause = _arrays(name, {key: Uuid(), value: kind})
        else:
            each = _each(name, "key", "value")
            self.table = select(
                type_coerce(each.c.key, Uuid()).label(key),
                type_coerce(each.c.value, kind).label(value),
            ).subquery(name)

    def __getattr__(self, name: str) -> ColumnElement[Any]:
        return self.table.c[name]

    def bind(self, rows: Sequence[tuple[UUID, Any]]) -> dict[str, Any]:
        """The parameters that stand for `rows`."""
        if self._dialect == "postgresql":
            given = zip(self._columns, zip(*rows, strict=True), strict=True)
            return {f"{self._name}_{name}": list(values) for name, values in given}
        # by hand: an id may come twice, in an object of Python's it would not
        pairs = [f'"{id_.hex}":{_json_of(value)}' for id_, value in rows]
        return {self._name: "{" + ",".join(pairs) + "}"}


def _json_of(value: UUID | str | None) -> str:
    if value is None:
        return "null"
    return f'"{value.hex}"' if isinstance(value, UUID) else encode_basestring_ascii(value)


def _each(name: str, *columns: str) -> TableValuedAlias:
    each = func.json_each(bindparam(name, type_=Text))
    return each.table_valued(*columns, name=f"{name}_each")


def _json(name: str, columns: dict[str, TypeEngine[Any]]) -> FromClause:
    each = _each(name, "value")
    if len(columns) == 1:
        ((column_name, kind),) = columns.items()
        return select(type_coerce(each.c.value, kind).label(column_name)).subquery(name)
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

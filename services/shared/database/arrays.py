"""PostgreSQL's way of many values in one statement: an array for each column.

The driver's `executemany` binds and executes once for each row, and an IN list is another statement, to be
parsed and planned, for each number of values.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, Connection, Text, any_, bindparam, func, select
from sqlalchemy import Dialect as Dialects
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session

from services.shared.database import driver
from services.shared.database.base import Dialect
from services.shared.database.types import write_json


def of_arrays(sql: str, columns: Sequence[Column[Any]], dialect: Dialects) -> str:
    """`INSERT … VALUES (…) …` with an array in place of each of its values, which are those of `columns`.

    Rows are inserted in the order of the arrays. One statement can't touch a row twice: of those that end in
    `ON CONFLICT … DO UPDATE` every row has a key of its own.
    """
    head, _, rest = sql.partition(" VALUES (")
    names, depth = [f"c{place}" for place in range(len(columns))], 1
    end = 0
    while depth:
        depth += {"(": 1, ")": -1}.get(rest[end], 0)
        end += 1
    picked = [
        f"{name}::jsonb" if isinstance(column.type, JSON) else name
        for name, column in zip(names, columns, strict=True)
    ]
    arrays = [f"${place}::{_type(one, dialect)}[]" for place, one in enumerate(columns, start=1)]
    given = f"unnest({', '.join(arrays)}) AS given({', '.join(names)})"
    return f"{head} SELECT {', '.join(picked)} FROM {given}{rest[end:]}"  # noqa: S608


def run(connection: Connection, sql: str, by_column: Iterable[Iterable[Any]]) -> int:
    """Execute what `of_arrays` made; how many rows it was. `by_column` are the values of each column."""
    return driver.change(connection, sql, [*map(list, by_column)])


def among(session: Session, column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Whether a column has one of the values: on PostgreSQL the same text for any number of them."""
    if session.get_bind().dialect.name != "postgresql":
        found: ColumnElement[bool] = column.in_(values)
        return found
    given: Any = bindparam(None, list(values), type_=ARRAY(column.type))
    same: ColumnElement[bool] = column == any_(given)
    return same


def one_of(dialect: Dialect, column: Any, name: str) -> ColumnElement[bool]:
    """Whether a column of numbers or texts has one of what `many` makes a parameter of."""
    if dialect == "postgresql":
        given: Any = bindparam(name, type_=ARRAY(column.type))
        same: ColumnElement[bool] = column == any_(given)
        return same
    each = func.json_each(bindparam(name, type_=Text)).table_valued("value")
    found: ColumnElement[bool] = column.in_(select(each.c.value))
    return found


def many(dialect: Dialect, values: Collection[int | str]) -> Any:
    """The parameter for `one_of`."""
    return list(values) if dialect == "postgresql" else write_json(list(values))


def _type(column: Column[Any], dialect: Dialects) -> str:
    if isinstance(column.type, JSON):
        return "text"  # as the writers make it
    named: str = dialect.type_compiler_instance.process(column.type.dialect_impl(dialect))
    return named.partition("(")[0]

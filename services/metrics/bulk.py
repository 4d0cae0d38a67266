"""Many rows in one statement: the driver's own `executemany`, with the values made ready by column.

SQLAlchemy's way of it costs more than the database does.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Dialect, Uuid
from sqlmodel import Session

from services.metrics.tables import MetricsTable, columns, upsert
from services.shared.clock import to_micros
from services.shared.database import Moment

Convert = Callable[[Any], Any]
OnConflict = Callable[[Any], Any]


class Bulk:
    """Inserts rows given as tuples in the order of `names`; `on_conflict` completes the statement."""

    def __init__(
        self,
        model: type[MetricsTable],
        names: Sequence[str],
        on_conflict: OnConflict = lambda statement: statement,
    ) -> None:
        self._model = model
        self._names = tuple(names)
        self._on_conflict = on_conflict
        self._ready: dict[str, tuple[str, list[tuple[int, Convert | None]]]] = {}

    def write(self, session: Session, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows as part of the session's transaction."""
        if not rows:
            return
        dialect = session.get_bind().dialect
        sql, sources = self._ready.get(dialect.name) or self._prepare(session, dialect)
        given = list(zip(*rows, strict=True))
        by_column = [
            given[index]
            if convert is None
            else [None if value is None else convert(value) for value in given[index]]
            for index, convert in sources
        ]
        session.connection().exec_driver_sql(sql, list(zip(*by_column, strict=True)))

    def _prepare(
        self, session: Session, dialect: Dialect
    ) -> tuple[str, list[tuple[int, Convert | None]]]:
        statement = self._on_conflict(upsert(session, self._model))
        compiled = statement.compile(dialect=dialect, column_keys=list(self._names))
        known = columns(self._model)
        sources = [
            (self._names.index(name), _converter(known[name].type, dialect.name))
            for name in compiled.positiontup
        ]
        self._ready[dialect.name] = (str(compiled), sources)
        return self._ready[dialect.name]


def _converter(kind: Any, dialect: str) -> Convert | None:
    """How a column's values are made ready for the driver; None: they are as they should be."""
    if isinstance(kind, JSON):
        return _text
    if dialect == "sqlite":
        if isinstance(kind, Moment):
            return to_micros
        if isinstance(kind, Uuid):
            return _hex
    return None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _hex(value: UUID) -> str:
    return value.hex

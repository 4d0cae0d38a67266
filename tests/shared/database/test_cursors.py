"""Cursors go on where a page ended, whatever shares its moment; anything else is refused."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Column, Uuid, create_engine, insert, select
from sqlalchemy import MetaData as Tables
from sqlalchemy import Table as TableOf

from services.shared.database import Moment
from services.shared.database.cursors import after, cursor_of
from services.shared.errors import Invalid

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLE = TableOf("t", Tables(), Column("at", Moment), Column("id", Uuid))


def test_pages_follow_each_other_without_gap_or_overlap():
    # three of each moment
    rows = [
        {"at": NOON + timedelta(microseconds=n // 3), "id": UUID(int=n * 7919 % 100)}
        for n in range(30)
    ]
    engine = create_engine("sqlite://")
    seen: list[Any] = []
    with engine.begin() as connection:
        TABLE.metadata.create_all(connection)
        connection.execute(insert(TABLE), rows)
        cursor: str | None = None
        newest_first = select(TABLE).order_by(TABLE.c.at.desc(), TABLE.c.id.desc()).limit(4)
        while page := connection.execute(
            newest_first.where(*after(cursor, TABLE.c.at, TABLE.c.id))
        ).all():
            seen += page
            cursor = cursor_of(page[-1].at, page[-1].id)
    engine.dispose()
    expected = sorted(((row["at"], row["id"]) for row in rows), reverse=True)
    assert [tuple(row) for row in seen] == expected


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "é", "AAAA", "A" * 200, base64.urlsafe_b64encode(b"\x7f" + b"\xff" * 23).decode()],
)
def test_what_is_no_cursor_is_named_by_the_callers_word(cursor: str):
    with pytest.raises(Invalid) as refused:
        after(cursor, TABLE.c.at, TABLE.c.id, name="after")
    assert [(error.field, error.reason) for error in refused.value.fields] == [("after", "invalid")]

"""Everybody as CSV, a part at a time. Cells that a spreadsheet would take for a formula are made text."""

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import Session

from services.profile.base import Row
from services.profile.people import repository
from services.profile.people.person import PROFILES
from services.shared.database import Database

BOM = "\ufeff"

_FORMULA = frozenset("=+-@\t\r\n|%＝＋－＠")
_PORTION = 500
_CHANNELS = ("email", "phone", "wechat_id", "wechat", "qq", "qq_bot")
_OWN = ("id", "created_at", "language", "timezone", "leads")


def neutral(value: Any) -> str:
    """The text of a cell. An apostrophe before what would be a formula is how spreadsheets mark text."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return text
    return f"'{text}" if text.lstrip(" ")[:1] in _FORMULA and text.strip() else text


async def lines(database: Database) -> AsyncIterator[str]:
    """The file in parts: a byte order mark and the heading, then people in the order of their ids."""
    fields = list(await database.read(lambda s: repository.words(s, "field")))
    heading = [*_OWN, *_CHANNELS, "verified", "tags", "marketing"]
    yield BOM + _csv([[*heading, *(neutral(f"field: {name}") for name in fields)]])
    after: UUID | None = None
    while True:
        people = await database.scan(lambda s, at=after: _portion(s, at))  # type: ignore[misc]  # bound now
        if people:
            yield _csv([_cells(person, fields) for person in people])
            after = people[-1]["id"]
        if len(people) < _PORTION:
            return


def _portion(session: Session, after: UUID | None) -> list[Row]:
    statement = select(PROFILES.c.id).order_by(PROFILES.c.id).limit(_PORTION)
    if after is not None:
        statement = statement.where(PROFILES.c.id > after)
    people = repository.lines(session, list(session.execute(statement).scalars()))
    repository.add_values(session, people)
    return people


def _cells(person: Row, fields: list[str]) -> list[str]:
    contacts = person["contacts"]
    by_channel = (
        "; ".join(c["address"] for c in contacts if c["channel"] == channel)
        for channel in _CHANNELS
    )
    verified = sorted({c["channel"] for c in contacts if c["verified_at"] is not None})
    agreed = sorted(
        {c["channel"] for c in person["consents"] if c["purpose"] == "marketing" and c["given"]}
    )
    cells: list[Any] = [
        str(person["id"]),
        person["created_at"].isoformat(timespec="seconds"),
        person["language"],
        person["timezone"] or "",
        person["lead_count"],
        *by_channel,
        " ".join(verified),
        "; ".join(person["tags"]),
        " ".join(agreed),
        *(_value(person["fields"].get(name)) for name in fields),
    ]
    return [neutral(cell) for cell in cells]


def _value(value: Any) -> Any:
    return "; ".join(str(each) for each in value) if isinstance(value, list) else value


def _csv(rows: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()

"""Many rows at once: every kind of value arrives as it was, in order, on both databases."""

from datetime import UTC, datetime

from sqlalchemy import select

from services.shared.database import Database
from services.shared.database.arrays import among
from services.shared.database.rows import RowWriter
from tests.contract.database.stands import NOTES, names

WRITER = RowWriter(NOTES, "name", "at", "document", "bytes", "text")
AT = datetime(2026, 11, 24, 8, 30, 0, 123456, tzinfo=UTC)


async def test_rows_come_back_as_they_were_in_their_order(database: Database) -> None:
    rows = [
        ("z", AT, {"a": [1, "二", None]}, b"\x00\xff", 'a "quoted" {text}, \\ NULL'),
        ("a", None, None, None, None),
        ("NULL", AT, "text", b"", ""),
        *((f"row {number:03}", AT, [number], b"x", "y") for number in range(300)),
    ]
    await database.transaction(lambda session: WRITER.write(session, rows))
    columns = [NOTES.c[name] for name in ("name", "at", "document", "bytes", "text")]
    found = await database.read(
        lambda session: session.execute(select(*columns).order_by(NOTES.c.id)).all()
    )
    assert [tuple(row) for row in found] == rows


async def test_nothing_is_written_for_no_rows(database: Database) -> None:
    await database.transaction(lambda session: WRITER.write(session, []))
    assert await database.read(names) == []


async def test_one_of_many_values_is_found_whatever_their_number(database: Database) -> None:
    rows = [(name, None, None, None, None) for name in ("a", "b", "c")]
    await database.transaction(lambda session: WRITER.write(session, rows))
    for wanted in ((), ("b",), ("c", "a", "nobody")):
        found = await database.read(
            lambda session, wanted=wanted: set(  # type: ignore[misc]
                session.execute(
                    select(NOTES.c.name).where(among(session, NOTES.c.name, wanted))
                ).scalars()
            )
        )
        assert found == set(wanted) - {"nobody"}

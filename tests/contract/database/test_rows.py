"""Many rows at once: every kind of value arrives as it was, in order, on both databases."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, column, delete, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from services.shared.database import Database, Document, Moment
from services.shared.database.arrays import among, many, one_of
from services.shared.database.ready import Ready
from services.shared.database.rows import RowWriter
from tests.components.waiting import PATIENCE
from tests.contract.database.stands import NOTES, names

COLUMNS = ("name", "at", "document", "bytes", "text")
WRITER = RowWriter(NOTES, *COLUMNS)
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


async def test_of_rows_that_may_be_there_the_missing_ones_are_added(database: Database) -> None:
    writer = RowWriter(NOTES, "id", "name", missing=True)
    for rows in ([(1, "a"), (2, "b")], [(2, "again"), (3, "c")]):
        await database.transaction(lambda session, rows=rows: writer.write(session, rows))  # type: ignore[misc]
    assert await database.read(names) == ["a", "b", "c"]


async def test_a_statement_made_ready_reads_and_changes_as_it_would_otherwise(
    database: Database,
) -> None:
    row = ("a", AT, {"a": [1, "二", None]}, b"\x00\xff", None)
    await database.transaction(lambda session: WRITER.write(session, [row, ("b", *row[1:])]))
    reading = Ready(
        select(*[NOTES.c[name] for name in COLUMNS])
        .where(
            NOTES.c.name == bindparam("wanted"), NOTES.c.at <= bindparam("until", type_=Moment())
        )
        .order_by(NOTES.c.id)
    )
    changing = Ready(
        update(NOTES)
        .where(NOTES.c.name == bindparam("wanted"))
        .values(document=bindparam("new", type_=Document()))
    )
    telling = Ready(
        update(NOTES).where(NOTES.c.text.is_(None)).values(text="x").returning(NOTES.c.document)
    )

    def work(session: Session) -> tuple[Any, ...]:
        found = reading.rows(session, {"wanted": "a", "until": AT})
        none = reading.rows(session, {"wanted": "nobody", "until": AT})
        changed = changing.run(session, {"wanted": "b", "new": ["new"]})
        return found, none, changed, sorted(telling.rows(session, {}), key=str)

    found, none, changed, told = await database.transaction(work)
    assert (found, none, changed) == ([row], [], 1)
    assert told == [(["new"],), (row[2],)]


async def test_one_of_many_is_found_by_a_statement_made_ready(database: Database) -> None:
    rows = [(name, None, None, None, None) for name in ("a", "b", "c")]
    await database.transaction(lambda session: WRITER.write(session, rows))
    dialect = database.dialect
    removing = Ready(delete(NOTES).where(one_of(dialect, NOTES.c.name, "those")))
    for wanted, left in ((), ["a", "b", "c"]), (("b", "nobody"), ["a", "c"]):
        parameters = {"those": many(dialect, wanted)}
        number = await database.transaction(lambda s, p=parameters: removing.run(s, p))  # type: ignore[misc]
        assert (number, await database.read(names)) == (3 - len(left), left)


async def test_what_the_database_refuses_is_raised_as_by_every_other_statement(
    database: Database,
) -> None:
    await database.transaction(lambda s: RowWriter(NOTES, "id", "name").write(s, [(1, "a")]))
    with pytest.raises(IntegrityError) as refused:
        await database.transaction(
            lambda s: RowWriter(NOTES, "id", "name").write(s, [(1, "a secret")])
        )
    assert "secret" not in str(refused.value)
    nothing = Ready(select(column("nothing")).select_from(NOTES))
    with pytest.raises(DBAPIError):
        await database.transaction(lambda session: nothing.rows(session, {}))
    assert await database.read(names) == ["a"], "and the connection works as before"


async def test_a_table_that_changes_is_read_by_the_statements_of_before(database: Database) -> None:
    reading = Ready(select(NOTES.c.name, literal_column("extra")).select_from(NOTES))
    kinds = ("INTEGER", "TEXT")
    for kind in kinds:
        await database.transaction(
            lambda s, kind=kind: s.execute(text(f"ALTER TABLE notes ADD COLUMN extra {kind}"))  # type: ignore[misc]
        )
        async with asyncio.timeout(PATIENCE):
            while True:  # the one that finds its plan out of date fails, those after it plan anew
                try:
                    assert await database.read(lambda session: reading.rows(session, {})) == []
                    break
                except DBAPIError:
                    await asyncio.sleep(0)
        await database.transaction(lambda s: s.execute(text("ALTER TABLE notes DROP COLUMN extra")))

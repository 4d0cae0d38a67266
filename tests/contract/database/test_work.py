"""Units of work: they happen whole or not at all, and reading changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session

from services.shared import correlation
from services.shared.database import Database
from services.shared.database.base import WAKE
from services.shared.database.sqlite import is_unique_violation
from services.shared.errors import DatabaseUnavailable
from tests.components.waiting import PATIENCE
from tests.contract.database.stands import ENDLESS, NOTES, Stand, names, note


async def test_what_was_committed_is_there_for_others(stand: Stand) -> None:
    await stand.database.transaction(note("a"))
    assert await stand.another().read(names) == ["a"]


async def test_the_answer_of_the_work_is_handed_on(database: Database) -> None:
    assert await database.transaction(lambda session: 42) == 42
    assert await database.read(lambda session: "read") == "read"
    assert await database.scan(lambda session: "scan") == "scan"


async def test_an_exception_undoes_everything_and_passes_on(database: Database) -> None:
    def work(session: Session) -> None:
        note("a")(session)
        raise LookupError("of the work's own")

    with pytest.raises(LookupError, match="own"):
        await database.transaction(work)
    assert await database.read(names) == []
    await database.transaction(note("b"))
    assert await database.read(names) == ["b"]


async def test_works_at_the_same_time_do_not_lose_each_others_updates(database: Database) -> None:
    await database.transaction(note("count", document=0))

    def add(session: Session) -> None:
        row = session.execute(NOTES.select().with_for_update()).one()
        session.execute(NOTES.update().values(document=row.document + 1))

    await asyncio.gather(*(database.transaction(add) for _ in range(20)))
    rows = await database.read(lambda session: session.execute(NOTES.select()).all())
    assert rows[0].document == 20


@pytest.mark.parametrize("way", ["read", "scan"])
async def test_reading_cannot_write(database: Database, way: str) -> None:
    with pytest.raises(DBAPIError):
        await getattr(database, way)(note("sneaked in"))
    assert await database.read(names) == []
    await database.transaction(note("by the door"))
    assert await getattr(database, way)(names) == ["by the door"]


async def test_a_long_scan_is_stopped_at_its_deadline_and_the_next_one_works(
    database: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with asyncio.timeout(PATIENCE):
            await database.scan(
                lambda session: session.execute(text(ENDLESS)).scalar_one(), seconds=0.3
            )
    await database.transaction(note("a"))
    assert await database.scan(names) == ["a"]


async def test_a_scan_of_many_short_statements_is_stopped_too(database: Database) -> None:
    def work(session: Session) -> None:
        while True:
            session.execute(
                text(
                    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
                    " WHERE n < 30000) SELECT count(*) FROM numbers"
                )
            ).scalar_one()

    async with asyncio.timeout(PATIENCE):
        with pytest.raises(DatabaseUnavailable):
            await database.scan(work, seconds=0.2)


async def test_a_scan_leaves_the_loop_free(database: Database) -> None:
    scanning = asyncio.ensure_future(
        database.scan(lambda session: session.execute(text(ENDLESS)).scalar_one(), seconds=0.5)
    )
    turns = 0
    while not scanning.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 10, "it would have got none but the first"
    with pytest.raises(DatabaseUnavailable):
        await scanning


async def test_a_mistake_in_the_sql_is_no_outage(database: Database) -> None:
    for way in (database.transaction, database.read, database.scan):
        with pytest.raises(DBAPIError):
            await way(lambda session: session.execute(text("SELECT nothing FROM nowhere")))


async def test_who_waits_for_commits_is_told_after_them_and_only_when_asked(
    stand: Stand,
) -> None:
    database, other = stand.database, stand.another()
    heard: list[str] = []
    database.on_commit(lambda: heard.append("told"))

    def waking(name: str, fail: bool = False) -> Any:
        def work(session: Session) -> None:
            note(name)(session)
            session.info[WAKE] = True
            assert heard == []
            if fail:
                raise LookupError(name)

        return work

    await database.transaction(note("quiet"))
    with pytest.raises(LookupError):
        await database.transaction(waking("failed", fail=True))
    assert heard == []
    await database.transaction(waking("loud"))
    assert heard == ["told"]
    assert await other.read(names) == ["quiet", "loud"]
    await database.transaction(note("quiet again"))
    assert heard == ["told"]


async def test_the_work_sees_the_correlation_id_of_who_asked(database: Database) -> None:
    with correlation.correlated("request-one"):
        assert await database.transaction(lambda session: correlation.current()) == "request-one"


async def test_only_a_repeated_value_is_a_unique_violation(database: Database) -> None:
    await database.transaction(note("a"))
    with pytest.raises(IntegrityError) as repeated:
        await database.transaction(note("a"))
    assert is_unique_violation(repeated.value)
    with pytest.raises(IntegrityError) as empty:
        await database.transaction(
            lambda session: session.execute(text("INSERT INTO notes (name) VALUES (NULL)"))
        )
    assert not is_unique_violation(empty.value)


MOMENTS = [
    datetime(2026, 3, 2, 4, 5, 6, 789012, tzinfo=UTC),
    datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999998, tzinfo=UTC),
    datetime(2026, 3, 2, 12, 0, tzinfo=timezone(timedelta(hours=8))),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_a_moment_comes_back_to_the_microsecond_in_utc(
    database: Database, moment: datetime
) -> None:
    await database.transaction(note("a", at=moment))
    row = await database.read(lambda session: session.execute(NOTES.select()).one())
    assert row.at == moment
    assert row.at.utcoffset() == timedelta(0)


async def test_moments_are_compared_in_time_not_as_text(database: Database) -> None:
    for name, moment in zip("abcd", sorted(MOMENTS[:4]), strict=True):
        await database.transaction(note(name, at=moment))
    middle = datetime(2000, 1, 1, tzinfo=UTC)
    late = await database.read(
        lambda session: (
            session.execute(NOTES.select().where(NOTES.c.at > middle).order_by(NOTES.c.at))
            .scalars("name")
            .all()
        )
    )
    assert late == ["c", "d"]


async def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(Exception, match="time zone"):
        await database.transaction(note("a", at=datetime(2026, 3, 2)))  # noqa: DTZ001  meant
    assert await database.read(names) == []


@pytest.mark.parametrize(
    "document",
    [{"名": "值 🎁", "n": [1, 2.5, None, True], "": {}}, [], "text", 0, {"deep": {"er": [{}]}}],
    ids=repr,
)
async def test_a_document_comes_back_as_it_was(database: Database, document: Any) -> None:
    await database.transaction(note("a", document=document))
    row = await database.read(lambda session: session.execute(NOTES.select()).one())
    assert row.document == document


async def test_serials_grow_by_themselves(database: Database) -> None:
    for name in "abc":
        await database.transaction(note(name))
    rows = await database.read(lambda s: s.execute(NOTES.select().order_by(NOTES.c.id)).all())
    assert [row.name for row in rows] == ["a", "b", "c"]
    assert len({row.id for row in rows}) == 3
    assert all(isinstance(row.id, int) for row in rows)

"""The database goes away, deadlocks or breaks in the middle of things."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from services.shared.database import Database, Work
from services.shared.database.disk import sync_seconds
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import DatabaseUnavailable, SetupError
from tests.components.waiting import PATIENCE
from tests.contract.database.stands import NOTES, Outage, PostgresStand, SqliteStand, names, note

BIG = "x" * 200_000


async def test_a_database_that_went_away_says_so_and_goes_on_when_it_is_back(
    outage: Outage,
) -> None:
    database = outage.stand.database
    await database.transaction(note("before"))
    outage.begin()
    for name in ("lost", "lost too"):
        with pytest.raises(DatabaseUnavailable):
            async with asyncio.timeout(PATIENCE):
                await _patient(database, name)
    outage.end()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await database.transaction(note("after", document=BIG))
                break
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
    assert await database.read(names) == ["before", "after"]


async def _patient(database: Database, name: str) -> None:
    try:
        async with asyncio.timeout(6):  # less than what a stopped server is waited for
            await database.transaction(note(name, document=BIG))
    except TimeoutError as error:
        raise DatabaseUnavailable from error


@pytest.mark.needs_postgres
async def test_a_cut_connection_is_an_outage_and_the_next_work_connects_anew(
    postgres_url: str,
) -> None:
    stand = PostgresStand(postgres_url)
    await stand.open()

    def cut(session: Session) -> None:
        note("lost")(session)
        session.connection().exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseUnavailable):
        await stand.database.transaction(cut)
    await stand.database.transaction(note("after"))
    assert await stand.database.read(names) == ["after"]
    await stand.close()


@pytest.mark.needs_postgres
@pytest.mark.parametrize("part", ["port", "name"])
async def test_a_server_that_refuses_is_an_outage(postgres_url: str, part: str) -> None:
    if part == "port":
        url = "postgresql://postgres@127.0.0.1:1/postgres"
    else:
        url = postgres_url.rpartition("/")[0] + "/no_such_database"
    stand = PostgresStand(url)
    with pytest.raises(DatabaseUnavailable):
        await stand.database.read(names)
    await stand.close()


@pytest.mark.needs_postgres
async def test_a_deadlock_is_tried_again_until_both_are_through(postgres_url: str) -> None:
    stand = PostgresStand(postgres_url)
    await stand.open()
    database = stand.database
    for name in ("a", "b"):
        await database.transaction(note(name, document=0))
    runs = 0
    locked: set[str] = set()

    def crossing(first: str, second: str) -> Work[None]:
        def work(session: Session) -> None:
            nonlocal runs
            runs += 1
            for name in (first, second):
                row = session.execute(
                    NOTES.select().where(NOTES.c.name == name).with_for_update()
                ).one()
                session.execute(
                    NOTES.update().where(NOTES.c.name == name).values(document=row.document + 1)
                )
                locked.add(name)
                while len(locked) < 2:  # each holds what the other is going to ask for
                    session.connection().exec_driver_sql("SELECT pg_sleep(0.01)")

        return work

    await asyncio.gather(
        database.transaction(crossing("a", "b")), database.transaction(crossing("b", "a"))
    )
    rows = await database.read(lambda session: session.execute(NOTES.select()).all())
    assert [row.document for row in rows] == [2, 2]
    assert runs == 3, "one of the two was undone and tried again"
    await stand.close()


@pytest.mark.needs_postgres
async def test_a_conflict_that_never_ends_is_an_outage_not_a_fault_of_the_work(
    postgres_url: str,
) -> None:
    stand = PostgresStand(postgres_url)
    await stand.open()
    with pytest.raises(DatabaseUnavailable):
        await stand.database.transaction(
            lambda s: s.connection().exec_driver_sql(
                "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"
            )
        )
    await stand.close()


def refusing(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as the disk says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    ],
)
async def test_errors_of_the_disk_are_outages(tmp_path: Path, code: int) -> None:
    stand = SqliteStand(tmp_path)
    await stand.open()

    def breaks(session: Session) -> None:
        note("lost")(session)
        raise OperationalError("COMMIT", None, refusing(code))

    with pytest.raises(DatabaseUnavailable):
        await stand.database.transaction(breaks)
    await stand.database.transaction(note("after"))
    assert await stand.database.read(names) == ["after"]
    await stand.close()


async def test_a_damaged_file_is_an_outage(tmp_path: Path) -> None:
    path = tmp_path / "damaged.sqlite"
    path.write_bytes(b"this is no database, however long one looks at it" * 100)
    database = SqliteDatabase(path)
    with pytest.raises(DatabaseUnavailable):
        await database.read(names)
    await database.close()


async def test_a_file_that_cannot_be_opened_stops_the_start_with_one_line(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "locked.sqlite")
    other = sqlite3.connect(tmp_path / "locked.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SetupError, match=r"locked\.sqlite can't be opened"):
        database.writer.connect()
    other.close()
    await database.close()


async def test_a_writer_that_dies_fails_its_request_and_no_other(tmp_path: Path) -> None:
    stand = SqliteStand(tmp_path, writer_thread=True)
    await stand.open()

    def dies(session: Session) -> None:
        note("lost")(session)
        raise SystemExit("the thread ends here")

    dying = asyncio.ensure_future(_outcome(stand.database, dies))
    following = asyncio.ensure_future(stand.database.transaction(note("after")))
    async with asyncio.timeout(PATIENCE):
        assert isinstance(await dying, SystemExit)
        await following
    assert await stand.database.read(names) == ["after"]
    await stand.close()


async def _outcome(database: Database, work: Work[None]) -> BaseException | None:
    try:
        await database.transaction(work)
    except SystemExit as error:
        return error
    return None


async def test_the_writer_thread_leaves_the_loop_free(tmp_path: Path) -> None:
    stand = SqliteStand(tmp_path, writer_thread=True)
    await stand.open()
    turns = 0

    def slow(session: Session) -> int:
        deadline = time.monotonic() + PATIENCE
        while turns < 20 and time.monotonic() < deadline:
            time.sleep(0.001)
        return turns

    writing = asyncio.ensure_future(stand.database.transaction(slow))
    while not writing.done():
        turns += 1
        await asyncio.sleep(0)
    assert await writing >= 20
    await stand.close()


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_closed_database_refuses_at_once(tmp_path: Path, threaded: bool) -> None:
    stand = SqliteStand(tmp_path, writer_thread=threaded)
    await stand.open()
    await stand.close()
    with pytest.raises(DatabaseUnavailable):
        await stand.database.transaction(note("late"))
    with pytest.raises(DatabaseUnavailable):
        await stand.database.read(names)


def test_the_time_of_a_sync_is_the_median_of_a_few(tmp_path: Path) -> None:
    spans = iter([0.5, 0.003, 0.003, 0.003, 0.003, 0.0, 0.0])
    now = 0.0
    begun = False

    def timer() -> float:
        nonlocal now, begun
        begun = not begun
        if not begun:
            now += next(spans)
        return now

    assert sync_seconds(tmp_path, timer) == pytest.approx(0.003)
    assert list(tmp_path.iterdir()) == []

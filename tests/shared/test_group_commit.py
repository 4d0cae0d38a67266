"""Group commit: many share a transaction, each gets its own answer, and nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table
from sqlmodel import Session

from services.shared.clock import SystemClock
from services.shared.database.base import Work
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import Conflict, DatabaseUnavailable, Problem, Unavailable
from services.shared.group_commit import GroupCommit
from tests.components.waiting import PATIENCE, eventually

metadata = MetaData()
WORDS = Table("words", metadata, Column("word", String, primary_key=True))


class CountingDatabase(SqliteDatabase):
    """Counts transactions; a test can take it away or hold it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.batches = 0
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def transaction(self, work: Work[Any]) -> Any:
        self.batches += 1
        await self.open.wait()
        if self.away:
            raise DatabaseUnavailable
        return await super().transaction(work)


def write(session: Session, items: Sequence[str]) -> list[str | Problem]:
    """Adds words; `no` is refused politely, `boom` breaks the transaction."""
    answers: list[str | Problem] = []
    for item in items:
        if item == "no":
            answers.append(Conflict(extra={"word": item}))
            continue
        if item.startswith("boom"):
            raise TypeError(item)
        session.execute(WORDS.insert().values(word=item))
        answers.append(item.upper())
    return answers


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[CountingDatabase]:
    made = CountingDatabase(tmp_path / "words.sqlite")
    with made.writer.begin() as connection:
        metadata.create_all(connection)
    yield made
    await made.close()


@pytest.fixture
def commit(database: CountingDatabase) -> GroupCommit[str, str]:
    return GroupCommit(database, SystemClock(), write, limit=50, bound=100)


async def words(database: CountingDatabase) -> set[str]:
    return set(await database.read(lambda s: s.execute(WORDS.select()).scalars().all()))


async def together(commit: GroupCommit[str, str], items: Sequence[str]) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*map(commit.submit, items), return_exceptions=True)


async def test_many_share_one_transaction_and_each_gets_its_answer(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    items = [f"w{number}" for number in range(40)]
    assert await together(commit, items) == [item.upper() for item in items]
    assert database.batches == 1
    assert await words(database) == set(items)


async def test_one_after_the_other_is_answered_at_once(commit: GroupCommit[str, str]) -> None:
    async with asyncio.timeout(PATIENCE):
        for number in range(20):
            assert await commit.submit(f"w{number}") == f"W{number}"


async def test_more_than_the_limit_goes_in_several_batches(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    await together(commit, [f"w{number}" for number in range(100)])
    assert database.batches == 2


async def test_a_refused_item_is_refused_alone(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    answers = await together(commit, ["a", "no", "b"])
    assert answers[0] == "A"
    assert isinstance(answers[1], Conflict)
    assert answers[2] == "B"
    assert await words(database) == {"a", "b"}


@pytest.mark.parametrize("bad", ["boom", "known"])
async def test_an_item_that_breaks_the_transaction_fails_alone(
    database: CountingDatabase, commit: GroupCommit[str, str], bad: str
) -> None:
    await commit.submit("known")  # a second one is a unique violation
    answers = await together(commit, ["a", bad, "b"])
    assert answers[0] == "A"
    assert isinstance(answers[1], Exception)
    assert not isinstance(answers[1], Unavailable), "it would be tried again in vain"
    assert answers[2] == "B"
    assert await words(database) == {"known", "a", "b"}
    assert await commit.submit("later") == "LATER"


async def test_when_too_many_wait_the_next_is_refused_and_the_others_are_not(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    database.open.clear()
    items = [f"w{number}" for number in range(150)]
    waiting = [asyncio.ensure_future(commit.submit(item)) for item in items[:50]]
    await eventually(lambda: database.batches, "a first batch is being written")
    waiting += [asyncio.ensure_future(commit.submit(item)) for item in items[50:]]
    await eventually(lambda: commit.waiting == 100, "the queue is full")
    with pytest.raises(Unavailable) as refused:
        await commit.submit("one too many")
    assert refused.value.retry_after is not None
    database.open.set()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*waiting) == [item.upper() for item in items]
    assert await words(database) == set(items)


async def test_with_the_database_away_all_are_refused_and_nothing_is_kept(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    database.away = True
    answers = await together(commit, ["a", "b", "c"])
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    assert database.batches == 1, "an outage is not tried again for each"
    database.away = False
    assert await commit.submit("a") == "A"


async def test_who_goes_away_harms_nobody(
    database: CountingDatabase, commit: GroupCommit[str, str]
) -> None:
    database.open.clear()
    first, second = (asyncio.ensure_future(commit.submit(word)) for word in ("a", "b"))
    await eventually(lambda: database.batches, "the batch is being written")
    first.cancel()
    database.open.set()
    async with asyncio.timeout(PATIENCE):
        assert await second == "B"


async def test_a_wrong_number_of_answers_is_nobodys_success(database: CountingDatabase) -> None:
    def short(session: Session, items: Sequence[str]) -> list[str]:
        session.execute(WORDS.insert().values(word="sneaked in"))
        return []

    commit = GroupCommit[str, str](database, SystemClock(), short)
    answers = await together(commit, ["a", "b"])
    assert all(isinstance(answer, RuntimeError) for answer in answers)
    assert await words(database) == set()


async def test_who_waits_too_long_is_told_and_later_ones_are_served(
    database: CountingDatabase,
) -> None:
    commit = GroupCommit[str, str](database, SystemClock(), write, limit=2, patience=0.05)
    database.open.clear()
    waiting = [asyncio.ensure_future(commit.submit(f"w{number}")) for number in range(2)]
    await eventually(lambda: database.batches, "they are being written")
    behind = asyncio.ensure_future(commit.submit("behind"))
    async with asyncio.timeout(PATIENCE):
        answers = await asyncio.gather(*waiting, behind, return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError] * 3
    database.open.set()
    async with asyncio.timeout(PATIENCE):
        assert await commit.submit("later") == "LATER"
    assert "behind" not in await words(database), "what had not begun is not written any more"

"""Leases: one holder at a time, by the database's clock."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlmodel import Session

from services.shared.clock import VirtualClock
from services.shared.database import Database
from services.shared.database.lease import LEASES, acquire, database_now, release
from tests.contract.database.stands import Stand

SPAN = timedelta(seconds=10)


class Holders:
    """Two processes that want the same lease, and a way to let time pass in the database."""

    def __init__(self, stand: Stand) -> None:
        self.clock = VirtualClock()
        self.databases: dict[str, Database] = {"a": stand.database, "b": stand.another()}

    async def takes(self, holder: str) -> bool:
        return await self.databases[holder].transaction(
            lambda session: acquire(session, "relay", holder, SPAN, self.clock)
        )

    async def gives_back(self, holder: str) -> None:
        await self.databases[holder].transaction(lambda s: release(s, "relay", holder))

    async def pass_time(self, seconds: float) -> None:
        """The same for both databases: what was written is that much older."""
        self.clock.advance(seconds)
        if self.databases["a"].dialect == "postgresql":
            await self.databases["a"].transaction(
                lambda s: s.execute(
                    text(f"UPDATE leases SET until = until - interval '{seconds} s'")
                )
            )


@pytest.fixture
def holders(stand: Stand) -> Holders:
    return Holders(stand)


async def test_the_second_one_does_not_get_it(holders: Holders) -> None:
    assert await holders.takes("a")
    assert not await holders.takes("b")
    assert not await holders.takes("b")


async def test_the_holder_renews_it_for_as_long_as_it_likes(holders: Holders) -> None:
    for _ in range(5):
        assert await holders.takes("a")
        await holders.pass_time(6)
    assert not await holders.takes("b")


async def test_one_that_ran_out_is_taken_over_and_the_former_holder_hears_of_it(
    holders: Holders,
) -> None:
    assert await holders.takes("a")
    await holders.pass_time(11)
    assert await holders.takes("b")
    assert not await holders.takes("a")


async def test_one_given_back_is_free_at_once(holders: Holders) -> None:
    assert await holders.takes("a")
    await holders.gives_back("a")
    assert await holders.takes("b")


async def test_only_its_holder_can_give_it_back(holders: Holders) -> None:
    assert await holders.takes("a")
    await holders.gives_back("b")
    assert not await holders.takes("b")


async def test_leases_of_other_names_do_not_matter(holders: Holders) -> None:
    assert await holders.takes("a")
    assert await holders.databases["b"].transaction(
        lambda s: acquire(s, "planner", "b", SPAN, holders.clock)
    )


async def test_a_clock_that_is_wrong_in_one_process_does_not_matter_on_postgresql(
    holders: Holders,
) -> None:
    if holders.databases["a"].dialect != "postgresql":
        return  # one process, one clock
    assert await holders.takes("a")
    holders.clock.advance(3600)
    assert not await holders.takes("b")


async def test_the_end_is_a_span_from_now(holders: Holders) -> None:
    assert await holders.takes("a")

    def left(session: Session) -> timedelta:
        until = session.execute(LEASES.select()).one().until
        return until - database_now(session, holders.clock)

    remaining = await holders.databases["a"].read(left)
    assert timedelta(seconds=5) < remaining <= SPAN

"""The gate: marketing waits when push cannot know that its view is younger than 3 s."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.push.reach.freshness import Freshness
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import VirtualClock
from services.shared.events import Message
from services.shared.http.internal import ServiceUnreachable
from services.shared.runner import positions
from tests.ground import sqlite_database

TOPICS = ("profiles", "profile-events", "engagements")


class Neighbour:
    """A service that says how old its oldest unpublished change is."""

    def __init__(self) -> None:
        self.age: Any = 0.0

    async def get(self, path: str) -> Any:
        assert path == "/internal/freshness"
        if self.age is None:
            raise ServiceUnreachable("it does not answer")
        return {"oldest_unpublished_seconds": self.age}


class Rig:
    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.database = sqlite_database(folder / "push.sqlite", "push")
        self.bus = SqliteBus(folder / "log.sqlite", self.clock)
        self.profile, self.metrics = Neighbour(), Neighbour()
        neighbours: Any = {"profile": self.profile, "metrics": self.metrics}
        self.fresh = Freshness(
            neighbours, self.bus, self.database, self.clock, consumer="push", topics=TOPICS
        )
        self.at: dict[str, int] = {}

    async def publish(self, topic: str) -> None:
        await self.bus.publish([Message(topic, "k", (), b"{}")])

    async def handle(self, topic: str) -> None:
        """Push's consumer has read everything of a topic."""
        ends = await self.bus.ends([topic])
        for partition, end in ends.items():
            before = self.at.get(str(partition))
            move = partial(
                positions.move, consumer="push", partition=partition, expected=before, to=end
            )
            await self.database.transaction(move)
            self.at[str(partition)] = end

    async def ask(self) -> str | None:
        await self.fresh.probe()
        await self.fresh.look()
        return self.fresh.closed()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    await rig.bus.start(TOPICS)
    yield rig
    await rig.bus.close()
    await rig.database.close()


async def test_nothing_is_known_before_the_first_question(rig: Rig):
    assert rig.fresh.closed() == "view_too_old"
    assert await rig.ask() is None


async def test_an_answer_is_good_for_three_seconds(rig: Rig):
    await rig.ask()
    rig.clock.advance(2.9)
    assert rig.fresh.closed() is None
    rig.clock.advance(0.2)
    assert rig.fresh.closed() == "view_too_old"


@pytest.mark.parametrize("topic", TOPICS)
async def test_our_own_lag_closes_it_until_we_have_read_on(rig: Rig, topic: str):
    await rig.publish(topic)
    assert await rig.ask() == "view_too_old"
    await rig.handle(topic)
    await rig.fresh.look()
    assert rig.fresh.closed() is None


async def test_records_that_keep_coming_do_not_close_it_while_we_keep_up(rig: Rig):
    for _ in range(20):
        await rig.publish("profiles")
        await rig.fresh.probe()
        await rig.publish("profiles")
        rig.clock.advance(0.5)
        await rig.handle("profiles")
        await rig.publish("profiles")
        await rig.fresh.look()
        assert rig.fresh.closed() is None
        rig.clock.advance(0.5)


@pytest.mark.parametrize("who", ["profile", "metrics"])
async def test_what_a_neighbour_has_not_published_counts(rig: Rig, who: str):
    getattr(rig, who).age = 2.0
    assert await rig.ask() is None
    assert rig.fresh.age == pytest.approx(2.0)
    rig.clock.advance(1.5)
    assert rig.fresh.closed() == "view_too_old"


@pytest.mark.parametrize("age", [None, "soon", {"a": 1}])
async def test_a_neighbour_that_does_not_answer_closes_it_after_three_seconds(rig: Rig, age: Any):
    await rig.ask()
    rig.metrics.age = age
    rig.clock.advance(2)
    assert await rig.ask() is None
    rig.clock.advance(2)
    assert await rig.ask() == "view_too_old"
    assert rig.fresh.detail
    rig.metrics.age = 0
    assert await rig.ask() is None
    assert rig.fresh.detail is None

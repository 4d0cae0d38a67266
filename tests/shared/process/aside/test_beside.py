"""What the one process does for the process beside it, over a real socket pair, by a clock that the test moves."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.push.settings import PushSettings
from services.shared.app import Aside
from services.shared.clock import VirtualClock
from services.shared.database.sqlite import SqliteDatabase
from services.shared.http.internal import ServiceUnreachable
from services.shared.process.aside.beside import Beside
from services.shared.process.aside.forking import Forked
from services.shared.process.aside.link import Link, LinkedClient
from services.shared.runner.supervisor import BackgroundTask, Loop
from tests.components.waiting import eventually
from tests.ground import make_ground


class Neighbour:
    """Answers what is asked of profile."""

    async def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        if path == "/internal/away":
            raise ServiceUnreachable("GET /internal/away: 503", 503)
        return {"path": path, "params": params}


@dataclass(frozen=True)
class Beginning(Forked):
    """Stands for a process: notes what is done to it."""

    done: list[str] = field(default_factory=list)
    dead: bool = False

    def go(self) -> None:
        if self.dead:
            raise BrokenPipeError
        self.done.append("go")

    def kill(self) -> None:
        self.done.append("kill")


@dataclass
class Scene:
    """A process, and the other end of its link in the hands of the test."""

    clock: VirtualClock
    forked: Beginning
    other: Link
    stop: asyncio.Event
    task: asyncio.Task[None]
    reports: list[Any]
    heard: list[Any] = field(default_factory=list)
    running_here: list[str] = field(default_factory=list)

    async def hear(self) -> None:
        async for message in self.other.messages():
            self.heard.append(message)

    async def look(self, times: int = 1) -> None:
        """Let it look after the process so often."""
        for _ in range(times):
            heard = len(self.heard)
            self.clock.advance(0.25)
            await eventually(
                lambda heard=heard: len(self.heard) > heard or "kill" in self.forked.done,  # type: ignore[misc]
                "its next look",
            )


def aside_with(sends: Loop, reports: list[Any]) -> Aside:
    """What may run beside: one task, its reports kept."""
    return Aside(
        tasks=(BackgroundTask("sends", sends),),
        also=(),
        report=dict,
        told=reports.append,
        facts=lambda: {"known": 7},
        learn=lambda _facts: None,
        busy=lambda: False,
    )


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with staged(tmp_path) as scene:
        yield scene


@asynccontextmanager
async def staged(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = VirtualClock()
    ground = make_ground(tmp_path, "push", PushSettings, clock=clock)
    ground.neighbours["profile"] = Neighbour()  # type: ignore[index]
    ours, theirs = socket.socketpair()
    forked = Beginning("push", 0, ours)
    reports: list[Any] = []
    here: list[str] = []

    async def sends(stop: asyncio.Event) -> None:
        here.append("sends")
        await stop.wait()
        here.append("ended")

    assert isinstance(ground.database, SqliteDatabase)
    stop = asyncio.Event()
    beside = Beside(forked, aside_with(sends, reports), ground.database, ground)
    task = asyncio.create_task(beside.run(stop))
    scene = Scene(clock, forked, await Link.over(theirs), stop, task, reports, [], here)
    hearing = asyncio.create_task(scene.hear())
    await eventually(lambda: scene.heard, "the first facts")
    try:
        yield scene
    finally:
        stop.set()
        scene.other.close()
        await eventually(task.done, "the end")
        hearing.cancel()
        await ground.database.close()


async def test_it_is_let_begin_and_told_the_facts(scene: Scene) -> None:
    assert scene.forked.done == ["go"]
    assert scene.heard[0] == {"facts": {"known": 7}}


async def test_its_reports_are_passed_on(scene: Scene) -> None:
    scene.other.send({"report": {"status": []}})
    await eventually(lambda: scene.reports == [{"status": []}], "the report")


async def test_its_questions_are_answered_by_the_neighbours(scene: Scene) -> None:
    client = LinkedClient("profile", scene.other)
    answer = await client.get("/internal/segments/1/members", {"limit": 2})
    assert answer == {"path": "/internal/segments/1/members", "params": {"limit": 2}}


async def test_a_neighbour_that_is_away_is_away_for_it_too(scene: Scene) -> None:
    with pytest.raises(ServiceUnreachable) as caught:
        await LinkedClient("profile", scene.other).get("/internal/away")
    assert caught.value.status == 503


async def test_when_it_is_lost_its_tasks_run_here(scene: Scene) -> None:
    scene.other.close()

    def is_here() -> bool:
        scene.clock.advance(0.25)
        return scene.running_here == ["sends"]

    await eventually(is_here, "the task here")
    assert scene.forked.done == ["go", "kill"]
    scene.stop.set()
    await eventually(lambda: scene.running_here == ["sends", "ended"], "its end")


async def test_one_that_stands_still_is_ended_and_replaced(scene: Scene) -> None:
    for _ in range(4):
        scene.other.send({"report": {}})
        number = len(scene.reports) + 1
        await eventually(lambda number=number: len(scene.reports) == number, "the report")  # type: ignore[misc]
        await scene.look(50)
    assert scene.forked.done == ["go"]
    await scene.look(11)
    await eventually(lambda: scene.running_here == ["sends"], "the task here")
    assert scene.forked.done == ["go", "kill"]


async def test_at_the_end_it_may_finish_what_it_has_begun(scene: Scene) -> None:
    scene.stop.set()
    await eventually(lambda: {"stop": True} in scene.heard, "the word")
    assert scene.forked.done == ["go"]
    scene.other.send({"report": {"last": True}})
    scene.other.close()
    await eventually(scene.task.done, "the end")
    assert scene.reports == [{"last": True}]
    assert scene.running_here == []


async def test_one_that_died_while_it_waited_is_replaced(tmp_path: Path) -> None:
    ground = make_ground(tmp_path, "push", PushSettings)
    assert isinstance(ground.database, SqliteDatabase)
    ours, theirs = socket.socketpair()
    forked = Beginning("push", 0, ours, dead=True)
    here: list[str] = []

    async def sends(stop: asyncio.Event) -> None:
        here.append("sends")
        await stop.wait()

    stop = asyncio.Event()
    beside = Beside(forked, aside_with(sends, []), ground.database, ground)
    task = asyncio.create_task(beside.run(stop))
    await eventually(lambda: here == ["sends"], "the task here")
    assert forked.done == ["kill"]
    stop.set()
    await task
    for end in (ours, theirs):
        end.close()
    await ground.database.close()

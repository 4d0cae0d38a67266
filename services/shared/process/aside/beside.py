"""What the one process does for the process beside it: starts it, answers it, goes on without it."""

import asyncio
import logging
from dataclasses import replace
from typing import Any

from services.shared.app import Aside, Service
from services.shared.database.sqlite import SqliteDatabase
from services.shared.ground import Ground
from services.shared.http.internal import ServiceUnreachable
from services.shared.process.aside.forking import Forked
from services.shared.process.aside.link import Link, Message
from services.shared.runner.supervisor import BackgroundTask, Supervisor

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0
"""How long a process waits while the other one writes into the database of both."""

_EVERY = 0.25
_SILENT = 60
"""So many looks without a word: it stands still (its own clock stands still with a machine that sleeps)."""
_GRACE = 3.8
"""Below the grace of those who stop background tasks."""


def with_process_beside(
    service: Service, forked: Forked, ground: Ground[Any], database: SqliteDatabase
) -> Service:
    """The service, its aside in the forked process."""
    if service.aside is None:
        return service
    beside = Beside(forked, service.aside, database, ground)
    tasks = (*service.tasks, *service.aside.also, BackgroundTask("process beside", beside.run))
    return replace(service, tasks=tasks, aside=None)


class Beside:
    """A background task. When the process beside is lost, its tasks run here."""

    def __init__(
        self, forked: Forked, aside: Aside, database: SqliteDatabase, ground: Ground[Any]
    ) -> None:
        self._forked = forked
        self._aside = aside
        self._database = database
        self._neighbours = ground.neighbours
        self._clock = ground.clock
        self._traffic = ground.traffic
        self._answers: set[asyncio.Task[None]] = set()
        self._wake_sent = False
        self._silent = 0
        self._lost = asyncio.Event()
        self._link: Link | None = None
        self._ended = False

    async def run(self, stop: asyncio.Event) -> None:
        """Let it begin, and end it when `stop` is set."""
        if not self._ended:
            await self._accompany(stop)
        if not stop.is_set():
            await self._go_on_here(stop)

    async def _accompany(self, stop: asyncio.Event) -> None:
        try:
            self._forked.go()
        except OSError:  # it has died while it waited
            self._ended = True
            self._forked.kill()
            return
        link = self._link = await Link.over(self._forked.socket)
        self._database.on_commit(self._committed)
        listening = asyncio.create_task(self._listen(link))
        try:
            while not stop.is_set() and not self._lost.is_set() and self._silent < _SILENT:
                self._silent += 1
                link.send({"facts": self._aside.facts()})
                await self._clock.wait(stop, _EVERY)
            if stop.is_set() and not self._lost.is_set():
                link.send({"stop": True})
                await self._clock.wait(self._lost, _GRACE)
        finally:
            self._ended = True
            listening.cancel()
            link.close()
            self._forked.kill()

    async def _go_on_here(self, stop: asyncio.Event) -> None:
        log.error("the process that sends is gone: messages are sent from this one")
        here = Supervisor(self._clock)
        for task in self._aside.tasks:
            here.start(task)
        await stop.wait()
        await here.stop()

    async def _listen(self, link: Link) -> None:
        async for message in link.messages():
            self._silent = 0
            if "ask" in message:
                answering = asyncio.create_task(self._answer(link, message))
                self._answers.add(answering)
                answering.add_done_callback(self._answers.discard)
            if "committed" in message:
                if message["committed"]:
                    self._traffic.sending()
                self._database.wake(self._committed)
            if "report" in message:
                self._aside.told(message["report"])
        self._lost.set()

    async def _answer(self, link: Link, question: Message) -> None:
        client = self._neighbours[question["service"]]
        try:
            if question["method"] == "GET":
                body = await client.get(question["path"], question.get("params"))
            else:
                body = await client.post(question["path"], question.get("json"))
        except ServiceUnreachable as error:
            link.send(
                {"answer": question["ask"], "unreachable": str(error), "status": error.status}
            )
            return
        link.send({"answer": question["ask"], "body": body})

    def _committed(self) -> None:
        """Something was written that the tasks beside may wait for: once in a round of the loop is enough."""
        if not self._wake_sent:
            self._wake_sent = True
            asyncio.get_running_loop().call_soon(self._send_wake)

    def _send_wake(self) -> None:
        self._wake_sent = False
        if self._link is not None:
            self._link.send({"wake": True})

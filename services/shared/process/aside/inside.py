"""The process beside: one service's ground, and those of its tasks that may run there."""

import asyncio
import logging
import os
import socket

from services.shared.app import Aside
from services.shared.auth.keys import Keys
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import Clock, SystemClock
from services.shared.database.disk import SLOW_SYNC, sync_seconds
from services.shared.database.sqlite import SqliteDatabase
from services.shared.ids import Ids
from services.shared.process.aside.beside import LOCK_SECONDS
from services.shared.process.aside.link import Link, LinkedClient
from services.shared.process.directory import DataDirectory
from services.shared.process.grounds import lay
from services.shared.process.kinds import ServiceKind
from services.shared.process.serve import run, spare_the_collector
from services.shared.runner.supervisor import BackgroundTask, Supervisor
from services.shared.settings import Settings, load_settings

log = logging.getLogger(__name__)

_GRACE = 3.3
_EVERY = 0.25
_NEIGHBOURS = ("capture", "profile", "metrics")


def main(kind: ServiceKind, settings: Settings, end: socket.socket) -> int:
    """Run the tasks of a service that may run beside it, until the other end says stop. An exit status."""
    return run(_work(kind, settings, end))


async def _work(kind: ServiceKind, settings: Settings, end: socket.socket) -> int:
    link = await Link.over(end)
    clock = SystemClock()
    directory = DataDirectory(settings.data)  # the other process owns it
    log_bus = SqliteBus(directory.file("log"), clock)
    neighbours = {name: LinkedClient(name, link) for name in _NEIGHBOURS}
    keys = Keys(SqliteDatabase(directory.file("auth")), clock, Ids(clock))
    footing = lay(settings, directory.secrets(), clock, log_bus, keys, neighbours)
    slow = sync_seconds(directory.path) > SLOW_SYNC
    path = directory.file(kind.name)
    database = SqliteDatabase(path, writer_thread=slow, lock_seconds=LOCK_SECONDS)
    own = load_settings(kind.settings, kind.name)
    service = kind.build(footing.ground(kind.name, f"{kind.name}-aside", own, database))
    aside = service.aside
    assert aside is not None
    supervisor = Supervisor(clock, grace=_GRACE)
    beside = Inside(link, aside, database, supervisor, clock)
    database.on_commit(beside.committed)
    for task in (*aside.also, *aside.tasks, BackgroundTask("report", beside.report)):
        supervisor.start(task)
    spare_the_collector()
    log.info("%s sends from a process of its own, %d", kind.name, os.getpid())
    if not await beside.listen():
        # who made us is gone: nothing is done any more that it might be starting again
        os._exit(1)
    await supervisor.stop()
    for close in service.closers:
        await close()
    beside.tell()
    await database.close()
    link.close()
    return 0


class Inside:
    """Listens to the other process, and tells it."""

    def __init__(
        self,
        link: Link,
        aside: Aside,
        database: SqliteDatabase,
        supervisor: Supervisor,
        clock: Clock,
    ) -> None:
        self._link = link
        self._aside = aside
        self._database = database
        self._supervisor = supervisor
        self._clock = clock
        self._told = False

    async def listen(self) -> bool:
        """Do as is said; True when it was stop, False when nobody is there any more."""
        async for message in self._link.messages():
            if "facts" in message:
                self._aside.learn(message["facts"])
            if "wake" in message:
                self._database.wake(self.committed)
            if "stop" in message:
                return True
        return False

    async def report(self, stop: asyncio.Event) -> None:
        """Tell how it goes, four times a second."""
        while not await self._clock.wait(stop, _EVERY):
            self.tell()

    def tell(self) -> None:
        """Tell how it goes."""
        failures = self._supervisor.failures
        self._link.send({"report": self._aside.report(), "failures": failures})

    def committed(self) -> None:
        """Others wait for what was written: once in a round of the loop is enough."""
        if not self._told:
            self._told = True
            asyncio.get_running_loop().call_soon(self._say_committed)

    def _say_committed(self) -> None:
        self._told = False
        self._link.send({"committed": self._aside.busy()})

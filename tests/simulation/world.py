"""One seed is one world: what its clients bring, what goes wrong, and what must be true in the end."""

import asyncio
import contextlib
import logging
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlmodel import Session

from services.shared import outbox
from services.shared.clock import VirtualClock
from services.shared.errors import DatabaseUnavailable
from services.shared.telemetry import Telemetry
from tests.simulation.actors import Actor, Actors, Consumer, Intake, Item, Life
from tests.simulation.chaos import Chaos, Crash
from tests.simulation.loop import SteppedLoop
from tests.simulation.mailer import Mailer
from tests.simulation.ports import ChaoticBus, ChaoticDatabase, Store

TOPICS = ("leads", "profile-events")
STARTED = (*TOPICS, "outcomes")
PATIENCE = 900.0
"""Virtual seconds after which a world that has not come to rest never will."""


@dataclass
class Report:
    """What became of a seed."""

    seed: int
    faults: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    points: int = 0
    items: int = 0

    def __str__(self) -> str:
        words = f"seed {self.seed}: {self.items} items, {self.points} points"
        lines = [f"  died {where}" for where in self.crashes]
        lines += [f"  WRONG {fault}" for fault in self.faults]
        return "\n".join([words, *lines])


class Ground:
    """A folder for worlds, one after the other, with files that already have their tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.stores: dict[str, Store] = {}

    def prepare(self, actors: Sequence[Actor]) -> None:
        """Fresh files for a world."""
        for store in self.stores.values():
            store.let_go()
        for path in self._folder.glob("*.sqlite*"):
            path.unlink()
        for actor in actors:
            if actor.name not in self.stores:
                self._make(actor)
            shutil.copyfile(self.path(actor.name).with_suffix(".template"), self.path(actor.name))

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.sqlite"

    def _make(self, actor: Actor) -> None:
        path = self.path(actor.name)
        store = self.stores[actor.name] = Store(path)
        with store.database.writer.begin() as connection:
            actor.metadata.create_all(connection)
        store.let_go()  # the last one to close it folds the write-ahead log in
        path.rename(path.with_suffix(".template"))


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """A ground in memory where the machine offers that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="baitwell-simulation-", dir=memory if memory.is_dir() else None
    ) as folder:
        yield Ground(Path(folder))


class World:
    """Everything of one seed."""

    def __init__(
        self,
        seed: int,
        on: Ground,
        *,
        relay: type[outbox.Relay] = outbox.Relay,
        mailer: bool = False,
    ) -> None:
        self.rng = random.Random(seed)
        self.clock = VirtualClock()
        self.chaos = Chaos(self.rng, self.clock, trouble=self.rng.choice((0.0, 0.02, 0.05)))
        self.report = Report(seed)
        self._ground = on
        self._relay = relay
        self._telemetry = Telemetry(CollectorRegistry())
        items = self._items()
        self.report.items = len(items)
        self.intake = Intake(items)
        self.actors = Actors(items)
        # Worlds are small, so that there can be many: not every one has all of it.
        downstream = self.rng.random() < 0.4
        people = self._consumer("people", ("leads",), items, says=downstream)
        actors: list[Actor] = [self.intake, people]
        if downstream:
            actors.append(self._consumer("figures", TOPICS, items, says=False))
        if self.rng.random() < 0.03 or mailer:
            actors.append(Mailer(items, self.clock, self.chaos))
        for actor in actors:
            self.actors.by_name[actor.name] = actor

    def _items(self) -> tuple[Item, ...]:
        counts = {key: self.rng.randint(1, 3) for key in self.rng.choice(("a", "ab", "abc"))}
        return tuple(Item(key, n) for key, count in counts.items() for n in range(count))

    def _consumer(
        self, name: str, topics: tuple[str, ...], items: Sequence[Item], *, says: bool
    ) -> Consumer:
        poison = {self.rng.choice(items)} if self.rng.random() < 0.3 else set()
        consumer = Consumer(name, topics, says=says, poison=poison)
        if self.rng.random() < 0.3:
            consumer.flaky[self.rng.choice(items).id] = self.rng.randint(1, 2)
        return consumer

    def run(self) -> Report:
        """Live, die and live again until everything has come to rest; then look."""
        self._ground.prepare(list(self.actors.by_name.values()))
        for _ in range(self.rng.randrange(5)):
            if self._live(int(self.rng.expovariate(1 / 200)) + 1):
                break
        else:
            self._live(None)
        self._examine()
        self.report.points = self.chaos.points
        self.report.crashes = self.chaos.crashes
        return self.report

    def _live(self, points: int | None) -> bool:
        """One process. True: it came to its own end."""
        loop = SteppedLoop()  # type: ignore[abstract]  # what is missing is not asked for
        self.chaos.arm(points)
        bus = ChaoticBus(self._ground.path("log"), self.clock, self.chaos)
        databases = {
            name: ChaoticDatabase(self._ground.stores[name], self.chaos)
            for name in self.actors.by_name
        }
        main = loop.create_task(self._main(loop, bus, databases))
        try:
            while not main.done() and not self.chaos.dead:
                self.chaos.point("between two turns")
                if not loop.step():
                    self._let_time_pass()
        except Crash:
            pass
        died = self.chaos.dead
        self._bury(loop, bus)
        if not died:
            main.result()
            self.report.faults += loop.complaints
        return not died

    def _let_time_pass(self) -> None:
        alarm = self.clock.next_alarm()
        if alarm is None:
            raise RuntimeError("nothing will ever happen again")
        self.clock.advance(alarm)

    def _bury(self, loop: SteppedLoop, bus: ChaoticBus) -> None:
        """Whatever runs is dropped. Its last words can't be written: the dead pass no point."""
        self.chaos.dead = True
        bus.abandon()
        for _ in range(20):
            for task in list(loop.tasks):
                task.cancel()
            with contextlib.suppress(Crash):
                loop.drain()
        for store in self._ground.stores.values():
            store.let_go()

    async def _main(
        self, loop: SteppedLoop, bus: ChaoticBus, databases: dict[str, ChaoticDatabase]
    ) -> None:
        stop = asyncio.Event()
        await bus.start(STARTED)
        tasks = []
        for name, actor in self.actors.by_name.items():
            life = Life(self.clock, bus, databases[name], self._relay, self.rng, self._telemetry)
            tasks += [asyncio.ensure_future(run(stop)) for run in actor.start(life)]
        begun = self.clock.monotonic()
        while unfinished := await self._unfinished(bus):
            if self.clock.monotonic() - begun > PATIENCE:
                self.report.faults.append(f"does not come to rest: {'; '.join(unfinished)}")
                break
            await self.clock.sleep(0.5)
            if self.intake.waiting() is None and any("parked" in what for what in unfinished):
                with contextlib.suppress(DatabaseUnavailable):
                    for actor in self.actors.by_name.values():
                        await actor.mend()
        stop.set()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.report.faults.append(f"a loop ended: {outcome!r}")
        await bus.close()

    async def _unfinished(self, bus: ChaoticBus) -> list[str]:
        found = []
        for name, actor in self.actors.by_name.items():
            with contextlib.closing(sqlite3.connect(self._ground.path(name))) as file:
                found += [
                    f"{name}: something in {table}"
                    for table in ("outbox", "parked")
                    if file.execute(f"SELECT EXISTS (SELECT 1 FROM {table})").fetchone()[0]
                ]
                at = dict(file.execute("SELECT topic, next FROM positions"))
            for partition, end in (await bus.ends(actor.topics)).items():
                if (behind := end - at.get(partition.topic, 1)) > 0:
                    found.append(f"{name}: {behind} behind in {partition.topic}")
            if reason := actor.waiting() or await actor.open_work():
                found.append(f"{name}: {reason}")
        return found

    def _examine(self) -> None:
        for name, actor in self.actors.by_name.items():
            with Session(self._ground.stores[name].database.writer) as session:
                self.report.faults += actor.faults(session, self.actors)


def run(seed: int, on: Ground, **sabotage: Any) -> Report:
    """The report of one seed."""
    log = logging.getLogger("services")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what goes wrong is meant to
    try:
        return World(seed, on, **sabotage).run()
    finally:
        log.setLevel(level)

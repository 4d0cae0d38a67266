"""P10: events a second through one consumer into its database, from the log, at the product's durability.

`python -m bench.figures.consumers WHAT DATA COUNT SALT` is one measurement in a process of its own and prints the
events a second: `outcomes` and `engagements` (metrics), `leads` (profile).
"""

import asyncio
import gc
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench.figures.clicks import sent
from bench.made.leads import new_leads
from bench.made.whole import large
from bench.report import Figure, Report
from bench.system import scratch
from services.metrics.app import KIND as METRICS
from services.metrics.engagements.events import TRACKED
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.repository import Waiter
from services.profile.app import KIND as PROFILE
from services.shared.clock import SystemClock
from services.shared.contact import ContactKeys
from services.shared.events import TOPICS, Message
from services.shared.ground import Ground
from services.shared.ids import Ids
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import open_embedded
from services.shared.process.kinds import ServiceKind
from services.shared.settings import Settings, load_settings

_KEYS = ContactKeys(b"the keys of the bench")
_AT_ONCE = 2000
_EVENTS = 30_000
_LINK = {"link": 0, "url": "https://shop.example/catalogue?from=mail"}


def p10(report: Report, runs: int) -> None:
    """Metrics into a new database; profile at a million people against raw SQL, turn by turn."""
    runs = min(runs, 3)
    note = "clicks and opens that are durable: classed, counted, said"
    found = [metrics("engagements", _EVENTS) for _ in range(runs)]
    report.add(Figure("P10.metrics", "1/s", found, note=note))
    found = [metrics("outcomes", _EVENTS) for _ in range(runs)]
    report.add(Figure("P10.outcomes", "1/s", found, note="push.sent, one a mail"))
    references, found = [], []
    data = large().data
    for run in range(runs):
        references.append(raw(data, _EVENTS, f"raw{run}"))
        found.append(leads(data, _EVENTS, f"leads{run}"))
    note = f"new people, at {large().people:,} profiles; the reference is the same effects by set-based SQL"
    report.add(Figure("P10.profile", "1/s", found, references, note=note))


def metrics(what: str, count: int) -> float:
    """Events a second of `outcomes` or `engagements`, into a new database."""
    with scratch() as folder:
        return _measured(what, folder / "data", count, "1")


def leads(data: Path, count: int, salt: str) -> float:
    """Leads a second through profile's consumer."""
    return _measured("leads", data, count, salt)


def raw(data: Path, count: int, salt: str) -> float:
    """Leads a second of the reference, into the same database."""
    values = [message.value or b"" for message in new_leads(_KEYS, count, salt=salt)]
    file = DataDirectory(data).file("profile")
    done = subprocess.run(
        [sys.executable, "-m", "bench.reference.raw", str(file)],
        input=b"\n".join(values),
        capture_output=True,
        check=True,
    )
    return float(done.stdout)


def _measured(what: str, data: Path, count: int, salt: str) -> float:
    words = [sys.executable, "-m", "bench.figures.consumers", what, str(data), str(count), salt]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@asynccontextmanager
async def _opened(kind: ServiceKind, directory: DataDirectory) -> AsyncIterator[Any]:
    """The app of one service, of which nothing runs."""
    directory.open()
    system = open_embedded([kind], load_settings(Settings), directory)
    app = system.apps[kind.name]
    ground: Ground[Any] = app.state.ground
    await ground.bus.start(tuple(TOPICS))
    try:
        yield app
    finally:
        await ground.bus.close()
        await ground.database.close()
        directory.close()


async def _consumed(app: Any, messages: Iterator[Message]) -> float:
    """Put messages into the log; the seconds that the consumer then takes until all are handled."""
    runner, bus = app.state.engine.consumer, app.state.ground.bus
    while batch := list(islice(messages, _AT_ONCE)):
        await bus.publish(batch)
    ends = await bus.ends(runner.spec.topics)
    ends = {partition: end for partition, end in ends.items() if end > 1}  # the first offset is 1
    stop = asyncio.Event()
    _spare_the_collector()
    start = time.perf_counter()
    task = asyncio.create_task(runner.run(stop))
    while any((runner.at(one) or 0) < end for one, end in ends.items()):  # noqa: ASYNC110  # a counter
        await asyncio.sleep(0.002)
    seconds = time.perf_counter() - start
    stop.set()
    await task
    return seconds


def _spare_the_collector() -> None:
    """As `serve` does it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _outcomes(directory: DataDirectory, count: int, _salt: str) -> float:
    clock = SystemClock()
    ids = Ids(clock)
    async with _opened(METRICS, directory) as app:
        return count / await _consumed(app, sent([ids.new() for _ in range(count)], clock))


async def _engagements(directory: DataDirectory, count: int, _salt: str) -> float:
    """Clicks and opens that are durable already: classed, counted and said."""
    clock = SystemClock()
    ids = Ids(clock)
    deliveries = [ids.new() for _ in range(count // 2)]
    async with _opened(METRICS, directory) as app:
        await _consumed(app, sent(deliveries, clock))
        at = clock.now() - timedelta(seconds=10)
        waiters = [
            Waiter(ids.new(), kind, at, at, delivery, document=document)
            for delivery in deliveries
            for kind, document in (("engagement.clicked", _LINK), ("engagement.displayed", {}))
        ]
        database, settler = app.state.ground.database, app.state.service.settler
        await database.transaction(lambda session: waiting.add(session, waiters))
        _spare_the_collector()
        start = time.perf_counter()
        stop = asyncio.Event()
        task = asyncio.create_task(settler.run(stop))
        left = partial(waiting.due, kinds=TRACKED, now=clock.now(), limit=1)
        while await database.read(left):  # noqa: ASYNC110  # a table has no event
            await asyncio.sleep(0.01)
        seconds = time.perf_counter() - start
        stop.set()
        await task
        return count / seconds


async def _leads(directory: DataDirectory, count: int, salt: str) -> float:
    async with _opened(PROFILE, directory) as app:
        return count / await _consumed(app, new_leads(_KEYS, count, salt=salt))


_WHAT: dict[str, Callable[[DataDirectory, int, str], Awaitable[float]]] = {
    "outcomes": _outcomes,
    "engagements": _engagements,
    "leads": _leads,
}


async def _main() -> float:
    what, data, count, salt = sys.argv[1:]
    return await _WHAT[what](DataDirectory(Path(data)), int(count), salt)


def main() -> None:
    """The command."""
    # imported here: the loop that servers use
    import uvloop

    sys.stdout.write(f"{uvloop.run(_main())}\n")


if __name__ == "__main__":
    main()

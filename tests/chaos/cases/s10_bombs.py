"""S10: bombs, texts that expressions choke on and 500 slow sockets: other callers hardly notice, memory stays."""

import asyncio
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.chaos.case import Case, Form, Trial
from tests.chaos.crowd import SLUG
from tests.chaos.hostile import ENDLESS, Slow, bombs, pour, throw
from tests.chaos.saboteurs_security import BOMBS
from tests.chaos.stage import BAIT, Stage, play, quiet
from tests.chaos.verdict import Verdict
from tests.components.waiting import eventually

_TIMES = 5
"""How much longer than in a quiet hour the slowest hundredth may wait."""

_MEGABYTES = 100
_ENDLESS = 60 * 1024 * 1024
"""Octets of each endless head, if they are taken."""

_RATE = 50
"""Submissions a second of the other callers, at constant intervals, from a process of their own."""

_SOCKETS = 500
_BOMBS_A_SECOND = 10


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds of measuring, before and beside; within how many seconds slow sockets are let go."""

    measured: float
    gone: float


_SIZES: dict[Form, Size] = {
    "test": Size(8, 30),
    "short": Size(15, 30),
    "full": Size(60, 130),  # with the patience that is shipped
}


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        links = await _links(stage)
        await _others(stage, 2)  # warm
        calm = await _others(stage, size.measured)
        await quiet(stage)
        await _attack(stage, size, links, calm)
        await quiet(stage)

    changes = () if trial.form == "full" else ("quick-patience",)
    return await play("S10", trial, act, changes=changes)


async def _links(stage: Stage) -> list[str]:
    """The addresses in a bait mail, without the host: whoever has them may ask as often as they like."""
    await stage.crowd.come(1)
    (mail,) = await eventually(stage.postbox.fetch, "a mail")
    return [urlsplit(link).path for link in mail.links.values()]


async def _others(stage: Stage, seconds: float) -> float:
    """What the others see: the p99 of their waits in milliseconds, from the intended start."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load", str(stage.embedded.port), SLUG),
        *("--rate", str(_RATE), "--connections", "32", "--seconds", str(seconds)),
        *("--salt", f"{stage.seed}.{time.monotonic_ns()}"),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if process.returncode:
        stage.verdict.faults.append("the other callers got no answers")
        return 0.0
    answer: dict[str, Any] = json.loads(said)
    if set(answer["statuses"]) != {"202"}:
        stage.verdict.faults.append(f"the other callers were answered {answer['statuses']}")
    p99: float = answer["p99"] * 1000
    return p99


async def _attack(stage: Stage, size: Size, links: Sequence[str], calm: float) -> None:
    server = _server(stage)
    port = stage.embedded.port
    thrown = bombs(links)
    before = server.memory_info().rss
    peak = [before]
    slow = Slow(port)
    await slow.open(_SOCKETS)
    statuses: Counter[int] = Counter()
    tasks = [
        asyncio.create_task(_watch(server, peak)),
        asyncio.create_task(_drip(slow)),
        asyncio.create_task(_throw(port, thrown, statuses)),
        *(asyncio.create_task(pour(port, *endless, _ENDLESS)) for endless in ENDLESS),
    ]
    beside = await _others(stage, size.measured)
    for task in tasks[2:]:
        task.cancel()
    await _let_go(stage, server, slow, size.gone)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    slow.close()
    grown = (max(peak) - before) // 1024 // 1024
    stage.verdict.figures.update(
        p99_quiet_us=round(calm * 1000),
        p99_beside_us=round(beside * 1000),
        memory_grown_mb=grown,
        bombs=statuses.total(),
    )
    if beside > _TIMES * calm:
        stage.verdict.faults.append(
            f"others waited {beside:.1f} ms (p99), {calm:.1f} ms in the quiet"
        )
    if grown > _MEGABYTES:
        stage.verdict.faults.append(f"memory grew by {grown} MB")
    if failed := {status: count for status, count in statuses.items() if status >= 500}:
        stage.verdict.faults.append(f"bombs were answered {failed}")


def _server(stage: Stage) -> psutil.Process:
    assert stage.embedded.process is not None
    return psutil.Process(stage.embedded.process.pid)


async def _watch(server: psutil.Process, peak: list[int]) -> None:
    while True:
        peak.append(server.memory_info().rss)
        await asyncio.sleep(0.05)


async def _drip(slow: Slow) -> None:
    while True:
        slow.drip()
        await asyncio.sleep(1)


async def _throw(port: int, thrown: Sequence[bytes], statuses: Counter[int]) -> None:
    """One bomb after the other, whatever becomes of the former."""
    flying: set[asyncio.Task[int]] = set()

    def landed(task: asyncio.Task[int]) -> None:
        flying.discard(task)
        if not task.cancelled():
            statuses[task.result()] += 1

    try:
        for bomb in itertools.cycle(thrown):
            task = asyncio.create_task(throw(port, bomb))
            flying.add(task)
            task.add_done_callback(landed)
            await asyncio.sleep(1 / _BOMBS_A_SECOND)
    finally:
        for task in flying:
            task.cancel()


async def _let_go(stage: Stage, server: psutil.Process, slow: Slow, seconds: float) -> None:
    """Who only holds a socket loses it."""
    ours = {socket.get_extra_info("sockname")[1] for socket in slow.held}
    end = time.monotonic() + seconds
    while left := sum(
        connection.status == psutil.CONN_ESTABLISHED and connection.raddr.port in ours
        for connection in server.net_connections("tcp")
        if connection.raddr
    ):
        if time.monotonic() > end:
            stage.verdict.faults.append(f"{left} slow sockets are still held")
            return
        await asyncio.sleep(0.5)


CASE = Case(
    "S10",
    "bombs, texts that expressions choke on and 500 slow sockets beside other callers",
    _run,
    saboteurs=tuple(BOMBS),
)

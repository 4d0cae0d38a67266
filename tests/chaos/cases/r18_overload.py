"""R18: four times the sustainable rate; the log away until the outbox is full: fast refusals, nothing lost."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Coroutine
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tests.chaos.book import entries
from tests.chaos.case import Case, Form, Trial
from tests.chaos.counters import series
from tests.chaos.crowd import SLUG
from tests.chaos.flood import Flood
from tests.chaos.processor import Queueing
from tests.chaos.saboteurs_load import OVERLOAD
from tests.chaos.stage import BAIT, Stage, play, quiet
from tests.chaos.verdict import Verdict

_TIMES = 4
_CLOSED = 32
"""Connections of the closed loop by which the sustainable rate is measured."""

_COLLAPSED = 0.5
"""Less than this share of the sustainable rate, while four times as much is asked, is a collapse."""

_RECOVERED = 0.6
"""This share of it is full speed again: the machine is shared, and consumers have to catch up."""

_FAST = 1.0
_BACK = 10.0
_OUTBOX = "baitwell_outbox_messages"
_A_LEAD = 2
"""Messages that a lead puts into capture's outbox."""


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds of measuring and of overload, connections of the overload, and the bound of the outbox."""

    measured: float
    overload: float
    connections: int
    outbox: int


_SIZES: dict[Form, Size] = {
    "test": Size(1.5, 2, 400, 4000),
    "short": Size(3, 8, 1000, 8000),
    "full": Size(5, 60, 6000, 100_000),
}


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        before = Flood(stage.embedded.port, f"before.{stage.seed}.", _CLOSED)
        await before.run(size.measured)
        _note(stage, before)
        await quiet(stage)
        await _overload(stage, size, before.accepted_rate)
        await quiet(stage)
        await _log_away(stage, size, before.accepted_rate)
        await quiet(stage)
        await _judge(stage)

    settings = {"BAITWELL_OUTBOX_LIMIT": str(size.outbox)}
    return await play("R18", trial, act, settings=settings, lanes=10)


async def _overload(stage: Stage, size: Size, sustainable: float) -> None:
    """Four times as many as can be served: those who are refused hear it at once, the others are served."""
    flood = Flood(
        stage.embedded.port, f"over.{stage.seed}.", size.connections, _TIMES * sustainable
    )
    queueing = await _watched(stage, flood.run(size.overload))
    _note(stage, flood)
    _only(stage, flood, queueing, "overload")
    if flood.accepted_rate < _COLLAPSED * sustainable:
        stage.verdict.faults.append(
            f"{flood.accepted_rate:.0f} a second were accepted under overload,"
            f" {sustainable:.0f} before"
        )
    await _recovers(stage, "over", sustainable)


async def _log_away(stage: Stage, size: Size, sustainable: float) -> None:
    """Nobody can write to the log: the outbox grows, says so, and refuses when it is full."""
    with closing(sqlite3.connect(stage.embedded.data / "log.sqlite", isolation_level=None)) as log:
        log.execute("BEGIN IMMEDIATE")
        rate = max(100.0, sustainable / 2)
        flood = Flood(stage.embedded.port, f"away.{stage.seed}.", _CLOSED, rate)
        depths = []
        flooding = flood.run(2 * size.outbox / _A_LEAD / rate + 3)
        filling = asyncio.create_task(_watched(stage, flooding))
        while not flood.statuses[503] and not filling.done():
            depths.append(await series(stage.victim.metrics_urls, _OUTBOX, service="capture"))
            await asyncio.sleep(0.3)
        refused = await _refusal(stage)
        queueing = await filling
        await asyncio.sleep(2.1)  # gauges are read every 2 s
        depths.append(await series(stage.victim.metrics_urls, _OUTBOX, service="capture"))
        log.execute("ROLLBACK")
    _note(stage, flood)
    _only(stage, flood, queueing, "log away")
    if not refused:
        stage.verdict.faults.append("with its outbox full it did not answer 503 with Retry-After")
    if depths != sorted(depths) or depths[-1] < 0.9 * size.outbox:
        stage.verdict.faults.append(f"the outbox's growth is not seen: {depths[-8:]}")
    most = size.outbox + _A_LEAD * 2 * _CLOSED + 20
    if depths[-1] > most:
        stage.verdict.faults.append(f"{depths[-1]} messages wait, more than the bound allows")
    await _recovers(stage, "away", sustainable)


async def _refusal(stage: Stage) -> bool:
    """Whether one more lead is refused as it should be."""
    body = {"contact": {"email": f"refused.{stage.seed}@people.example"}, "language": "en"}
    begun = time.monotonic()
    answer = await stage.client.attempt("POST", f"/v1/baits/{SLUG}/leads", body=body)
    fast = time.monotonic() - begun < _FAST
    return answer is not None and answer.status == 503 and "retry-after" in answer.headers and fast


async def _recovers(stage: Stage, name: str, sustainable: float) -> None:
    """Full speed again within 10 s, not counting what the program queued for a processor."""
    queueing = Queueing(list(stage.victim.pids().values()))
    begun = time.monotonic()
    queueing.note()
    rates: list[float] = []
    while (now := time.monotonic()) - begun - queueing.between(begun, now) < _BACK:
        flood = Flood(stage.embedded.port, f"{name}.after{len(rates)}.{stage.seed}.", _CLOSED)
        await flood.run(1.0)
        _note(stage, flood)
        queueing.note()
        rates.append(flood.accepted_rate)
        if rates[-1] >= _RECOVERED * sustainable:
            return
    stage.verdict.faults.append(
        f"after it ({name}) {[round(rate) for rate in rates]} a second were accepted,"
        f" {sustainable:.0f} before"
    )


async def _watched(stage: Stage, running: Coroutine[Any, Any, None]) -> Queueing:
    """Let something run, and note meanwhile how long program and callers queue for a processor."""
    queueing = Queueing([os.getpid(), *stage.victim.pids().values()])
    watching = asyncio.create_task(queueing.watch())
    try:
        await running
    finally:
        watching.cancel()
    return queueing


def _only(stage: Stage, flood: Flood, queueing: Queueing, what: str) -> None:
    """Answers are 202, or a 503 that is fast where there is a processor for it."""
    if wrong := {status: n for status, n in flood.statuses.items() if status not in (202, 503)}:
        stage.verdict.faults.append(f"{what}: answers were {wrong}")
    refusals = sorted(end - begin - queueing.between(begin, end) for begin, end in flood.refused)
    if refusals and (usual := refusals[len(refusals) * 9 // 10]) > _FAST:
        stage.verdict.faults.append(f"{what}: a tenth of the refusals took over {usual:.1f} s")


def _note(stage: Stage, flood: Flood) -> None:
    for address in flood.accepted:
        stage.book.note("lead", address=address)


async def _judge(stage: Stage) -> None:
    """Who was accepted is kept, has a profile, and got a mail."""
    await stage.victim.end()
    verdict = stage.verdict
    known = stage.stores.contacts()
    accepted = {entry["address"] for entry in entries(stage.book.path)}
    missing = accepted - known.keys()
    mailed = {message.recipient.decode().lower() for message in stage.sink.taken}
    unmailed = accepted - mailed - missing
    verdict.lost = len(missing) + len(unmailed)
    if verdict.lost:
        verdict.faults.append(f"{len(missing)} have no profile, {len(unmailed)} got no mail")
    verdict.profiles_doubled = sum(count > 1 for count in stage.stores.profiles().values())
    verdict.messages_doubled = len(stage.sink.taken) - len(mailed)
    if stage.stores.damaged():
        verdict.faults.append("files are damaged")


CASE = Case(
    "R18",
    "four times the sustainable rate, and the log away until the outbox is full",
    _run,
    saboteurs=tuple(OVERLOAD),
)

"""R11: a record that its consumer chokes on, others flow; its replay after the fix; an outage parks nothing."""

import asyncio
import json
import os
import signal
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

from services.shared.events import Message
from services.shared.events.leads import LeadSubmitted
from tests.chaos.case import Case, Form, Trial
from tests.chaos.judging import judge
from tests.chaos.leaving import leave, leave_one_by_one
from tests.chaos.logfile import append
from tests.chaos.processor import Queueing
from tests.chaos.saboteurs_runner import POISON
from tests.chaos.stage import BAIT, Stage, play, quiet
from tests.chaos.stores import plain
from tests.chaos.switches import CHOKING, POISONED
from tests.chaos.verdict import Verdict
from tests.components.waiting import eventually

_AGAIN = 3
"""How often who is poison comes again, with leads that nothing is wrong with."""

_TRIES = 3
_DELAYED = 1.0
_OUTAGE, _BRIEF = 8.0, 3.0
"""Seconds: long enough for three tries, also on a busy machine; and as much as fits into `make test`."""

_PATIENCE = 15.0
_BROKEN = "no-such-person"
"""The key of the record that no program can read."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many come before, beside the poison, and while the database is away, so many a second."""

    before: int
    beside: int
    away: int
    rate: float


_SIZES: dict[Form, Size] = {
    "test": Size(15, 40, 20, 40),
    "short": Size(200, 600, 100, 40),
    "full": Size(1000, 4000, 400, 50),
}


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]
    (trial.folder / "switches").mkdir()

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        poison = await _poisoned(stage, size, timed=trial.form != "test")
        brief = trial.form == "test" and trial.saboteur is None
        await _away(stage, size, _BRIEF if brief else _OUTAGE)
        (stage.embedded.folder / "switches" / CHOKING).unlink()
        await _replay(stage)
        await quiet(stage)
        leads = [plain(lead) for lead in poison]
        if [lead for lead in _acted_on(stage) if lead in leads] != leads:
            stage.verdict.faults.append("leads of one person were not acted on once and in order")
        await judge(stage)

    return await play("R11", trial, act, changes=(CHOKING,))


async def _poisoned(stage: Stage, size: Size, *, timed: bool) -> list[str]:
    """Somebody poisonous comes amid others; the leads of the poisonous, in order."""
    plainly = await _delay(stage, [f"early{n}.{stage.seed}" for n in range(size.before)], size.rate)
    await stage.victim.end()
    headers = (("ce_type", LeadSubmitted.ce_type()),)
    append(stage.embedded.data, Message("leads", _BROKEN, headers, b'{"lead_id": 7'))
    (stage.embedded.folder / "switches" / CHOKING).touch()
    await stage.victim.begin()
    others = [f"beside{n}.{stage.seed}" for n in range(size.beside)]
    watching = asyncio.create_task(_delay(stage, others, size.rate))
    address = f"{POISONED}1.{stage.seed}@people.example"
    leads = [await leave(stage, address, language="zh-CN")]
    leads += [await leave(stage, address, number + 2) for number in range(_AGAIN)]
    delayed = await watching
    stage.verdict.figures.update(
        others_before_ms=round(1000 * plainly), others_beside_ms=round(1000 * delayed)
    )
    if timed and delayed > _DELAYED + plainly:
        stage.verdict.faults.append(
            f"others were delayed by {delayed:.2f} s ({plainly:.2f} s before)"
        )
    wanted = [(_TRIES, "")] + [(0, "behind")] * _AGAIN
    await _parked_is(stage, "profile", wanted, but=_BROKEN)
    await _parked_is(stage, "metrics", [(_TRIES, "")])
    return leads


async def _away(stage: Stage, size: Size, outage: float) -> None:
    """Profile's database is away while people come, one of them poisonous: nobody is parked for that."""
    before = len(_parked(stage, "profile"))
    others = [f"late{n}.{stage.seed}" for n in range(size.away)]
    with closing(sqlite3.connect(_file(stage, "profile"), isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")
        coming = asyncio.create_task(_delay(stage, others, size.rate))
        await leave(stage, f"{POISONED}2.{stage.seed}@people.example", language="zh-CN")
        end = time.monotonic() + outage
        while time.monotonic() < end:
            if len(_parked(stage, "profile")) != before:
                stage.verdict.faults.append("something was parked while the database was away")
                break
            await asyncio.sleep(0.1)
        lock.execute("ROLLBACK")
    await coming
    await eventually(
        lambda: len(_parked(stage, "profile")) > before, "the second poison parked", _PATIENCE
    )
    if (more := len(_parked(stage, "profile")) - before) != 1:
        stage.verdict.faults.append(f"{more} records were parked, where one is poisonous")


async def _replay(stage: Stage) -> None:
    """The command acts once, in order; what can't be read stays."""
    status = await stage.victim.end()
    if status not in (0, -signal.SIGTERM):
        stage.verdict.faults.append(f"it ended with {status} when it was asked to stop")
    before = len(_parked(stage, "profile"))
    code, said = await stage.embedded.command("parked", "replay")
    if code != 1 or f"profile: {before - 1} handled, 1 keys still parked" not in said:
        stage.verdict.faults.append(f"the replay ended with {code} and said: {said}")
    code, said = await stage.embedded.command("parked", "replay", "profile")
    if "profile: 0 handled, 1 keys still parked" not in said:
        stage.verdict.faults.append(f"a second replay said: {said}")
    for service in ("profile", "metrics"):
        # what no program will ever read is thrown away by hand
        with closing(sqlite3.connect(_file(stage, service))) as database, database:
            database.execute("DELETE FROM parked WHERE key = ?", (_BROKEN,))
    await stage.victim.begin()


async def _delay(stage: Stage, names: list[str], rate: float) -> float:
    """Let people come; the longest that one of their leads took from its answer to profile, in seconds.

    What the program spent queueing for a processor is the machine's, and taken off.
    """
    seen: dict[str, float] = {}
    queueing = Queueing([os.getpid(), *stage.victim.pids().values()])
    queueing.note()
    addresses = [f"{name}@people.example" for name in names]
    coming = asyncio.create_task(leave_one_by_one(stage, addresses, rate))
    end = time.monotonic() + len(names) / rate + _PATIENCE
    while not coming.done() or not coming.result().keys() <= seen.keys():
        for lead in stage.stores.handled_leads() - seen.keys():
            seen[lead] = time.monotonic()
            end = max(end, seen[lead] + _PATIENCE)
        if time.monotonic() > end:
            missing = len(coming.result().keys() - seen.keys()) if coming.done() else len(names)
            stage.verdict.faults.append(f"{missing} leads of others do not reach profile")
            break
        queueing.note()
        await asyncio.sleep(0.03)
    answered = await coming
    took = (
        seen[lead] - at - queueing.between(at, seen[lead])
        for lead, at in answered.items()
        if lead in seen
    )
    return max(took, default=0.0)


async def _parked_is(
    stage: Stage, service: str, wanted: list[tuple[int, str]], but: str = ""
) -> None:
    """What is parked, in order, as tries and the beginning of the reason."""

    def found() -> list[tuple[int, str]]:
        rows = [row for row in _parked(stage, service) if row[0] != but]
        return [(tries, reason) for _, tries, reason in rows]

    end = time.monotonic() + _PATIENCE
    while len(found()) < len(wanted) and time.monotonic() < end:  # noqa: ASYNC110  # a file's rows
        await asyncio.sleep(0.05)
    right = len(found()) == len(wanted) and all(
        tries == expected and reason.startswith(word)
        for (tries, reason), (expected, word) in zip(found(), wanted, strict=False)
    )
    if not right:
        stage.verdict.faults.append(f"parked at {service} is {found()}")


def _parked(stage: Stage, service: str) -> list[tuple[str, int, str]]:
    return stage.stores.rows(service, "SELECT key, attempts, reason FROM parked ORDER BY id")


def _acted_on(stage: Stage) -> list[str]:
    """The leads that profile says it has acted on, in its order."""
    query = "SELECT number FROM topics WHERE name = 'profile-events'"
    [(number,)] = stage.stores.rows("log", query)
    values = stage.stores.rows("log", f"SELECT value FROM records_{number} ORDER BY position")
    events = (json.loads(value) for (value,) in values if value)
    return [plain(event["lead_id"]) for event in events if "lead_id" in event]


def _file(stage: Stage, name: str) -> str:
    return str(stage.embedded.data / f"{name}.sqlite")


CASE = Case(
    "R11",
    "a record that its consumer chokes on, its replay, and an outage",
    _run,
    saboteurs=tuple(POISON),
)

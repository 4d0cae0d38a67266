"""R5: the broker, the database or a service stands still (SIGSTOP), as a machine without power to think does."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil

from tests.chaos.case import Case, Form, NotHere, Trial
from tests.chaos.going_on import goes_on
from tests.chaos.judging import judge
from tests.chaos.stage import BAIT, Stage, play, quiet, reading
from tests.chaos.verdict import Verdict
from tests.e2e.systems import SERVICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SESSION: dict[Form, float] = {"test": 6.0, "short": 6.0, "full": 10.0}
"""Kafka's session timeout: the shortest that brokers allow, and the one that we ship."""

_ROUNDS: dict[Form, int] = {"test": 1, "short": 1, "full": 3}
_AT_ONCE = 8


async def _run(trial: Trial) -> Verdict:
    if trial.saboteur and (trial.saboteur == "gives-up") != (trial.mode == "scaled"):
        raise NotHere(
            "what gives up needs something else that stands still, what is stunned does not"
        )

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        chance = random.Random(f"standstill {trial.seed}")
        async with reading(stage):
            await goes_on(stage, "the start")
            for _ in range(_ROUNDS[trial.form]):
                for what in _order(trial, chance):
                    await _stand_still(stage, what, 2 * _SESSION[trial.form])
            await quiet(stage)
        await judge(stage)

    changes = ["quick-leases"]
    if trial.mode == "scaled" and trial.form != "full":
        changes.append("quick-sessions")
    return await play("R5", trial, act, changes=changes)


def _order(trial: Trial, chance: random.Random) -> Sequence[str]:
    if trial.mode == "embedded":
        return ("everything", "who answers", "who sends")
    things = ["database", *SERVICES]
    chance.shuffle(things)
    # the broker always: its absence is what every service has to bear
    return ["broker", *(things[:1] if trial.form == "test" else things)]


async def _stand_still(stage: Stage, what: str, seconds: float) -> None:
    """People keep coming meanwhile; afterwards it has to go on by itself."""
    coming: list[asyncio.Task[None]] = []
    async with _stopped(stage, what):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if sum(not task.done() for task in coming) < 3:
                coming.append(asyncio.create_task(stage.crowd.come(_AT_ONCE)))
            await asyncio.sleep(0.5)
    await goes_on(stage, f"{what} stood still")
    await asyncio.gather(*coming)


@asynccontextmanager
async def _stopped(stage: Stage, what: str) -> "AsyncIterator[None]":
    pids = _processes(stage, what)
    stage.victim.kills += 1
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _processes(stage: Stage, what: str) -> Sequence[int]:
    if stage.victim.mode == "embedded":
        process = stage.embedded.process
        assert process is not None
        beside = [child.pid for child in psutil.Process(process.pid).children()]
        those = {"everything": [process.pid, *beside], "who answers": [process.pid]}
        return those.get(what, beside)
    if what in SERVICES:
        return [stage.scaled.processes[what].pid]
    found = stage.scaled.backing.processes().get(what)
    if not found:
        raise NotHere(f"the {what} is not ours to be stopped")
    return found


CASE = Case(
    "R5",
    "broker, database and each service stand still for twice the session timeout",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("gives-up", "stunned"),
)

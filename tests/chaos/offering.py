"""Submissions at a constant rate, and `kill -9` every few seconds, for minutes (R1 as its table words it)."""

import asyncio
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.chaos.between import SAY_SO, caught
from tests.chaos.case import Mode
from tests.chaos.stage import Stage

_TURN = 0.05
_WAITING = 2000
"""Who comes when so many have no answer yet goes away again: offered, and not taken."""


@dataclass(frozen=True, slots=True)
class Offered:
    """So many a second for so long, and a kill every so many seconds, by the mode."""

    rate: float
    seconds: float
    kill_every: Mapping[Mode, float]


async def offer(stage: Stage, offered: Offered, chance: random.Random) -> None:
    """Let people come and kill meanwhile. A run in which under half of them were taken shows nothing."""
    begun, count = time.monotonic(), 0
    killing = asyncio.create_task(_kill(stage, offered, chance, begun + offered.seconds))
    coming: set[asyncio.Task[None]] = set()
    while (passed := time.monotonic() - begun) < offered.seconds:
        due = round(passed * offered.rate) - count
        count += due
        if (taken := min(due, _WAITING - stage.crowd.busy)) > 0:
            task = asyncio.create_task(stage.crowd.come(taken))
            coming.add(task)
            task.add_done_callback(coming.discard)
        await asyncio.sleep(_TURN)
    accepted = stage.crowd.submitted
    await killing
    await asyncio.gather(*coming)
    stage.verdict.figures.update(offered=count, accepted_in_time=accepted)
    if 2 * accepted < count:
        stage.verdict.faults.append(f"void: {accepted} of {count} that were offered were taken")


async def _kill(stage: Stage, offered: Offered, chance: random.Random, end: float) -> None:
    every = offered.kill_every["scaled" if stage.victim.mode == "scaled" else "embedded"]
    while True:
        pause = chance.uniform(0.5, 1.5) * every
        if time.monotonic() + pause > end:
            return
        await asyncio.sleep(pause)
        only = None
        if stage.verdict.saboteur in SAY_SO:
            names = {pid: name for name, pid in stage.victim.pids().items()}
            pid = await caught(stage.victim.folder, names)
            only = names[pid] if pid is not None else None
        await stage.victim.strike(chance, only)

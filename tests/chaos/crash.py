"""`kill -9` during submissions and during a campaign, then the checker (R1, R2).

A system started as a user starts it, on a data directory of its own. People leave contacts while it is
killed and started again; those who got their bait mail verify; a campaign goes to all of them while it
is killed again. Mail goes to a sink that outlives the system.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.between import SAY_SO, caught
from tests.chaos.case import Trial
from tests.chaos.crowd import AT_ONCE
from tests.chaos.judging import judge
from tests.chaos.offering import Offered, offer
from tests.chaos.stage import BAIT, Stage, Still, campaign, play, quiet, reading
from tests.chaos.verdict import Verdict

WINDOW = 16
LEAVING = 20

_CAMPAIGN_STANDSTILL = 30.0
_LATEST = 0.15
"""Seconds: a kill comes at most so long after what it waits for."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it. `lanes` are connections to the sink, which answers after `delay` seconds.

    A sink as quick as it can be would have a campaign before anything could be killed. Few lanes leave
    few messages in doubt, so that nearly all of them have to be exactly once. Without recipients there
    is no campaign.
    """

    submissions: int
    recipients: int
    kills_submitting: int
    kills_pushing: int
    lanes: int
    delay: float = 0.01
    pushing: str | None = None
    """In the scaled mode: whom the kills of a campaign hit; None: any service."""
    offered: Offered | None = None
    """Whether submissions come at a rate, whatever becomes of them; else as quickly as they are answered."""


FULL = Size(5000, 5000, 12, 12, lanes=10)
NORMAL = Size(2000, 2000, 4, 4, lanes=4)
SHORT = Size(300, 300, 1, 1, lanes=2)


async def run(name: str, trial: Trial, size: Size) -> Verdict:
    """One run with its verdict. What stops it in the middle is a fault like others."""

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await _people_and_campaign(stage, size)
        await judge(stage)

    quick = trial.mode == "scaled" and trial.form != "full"
    changes = ("quick-leases",) if quick else ()
    verdict = await play(name, trial, act, changes=changes, lanes=size.lanes, delay=size.delay)
    verdict.unknown_bound = 2 * size.lanes * WINDOW * verdict.kills
    return verdict


async def _people_and_campaign(stage: Stage, size: Size) -> None:
    await stage.client.call("POST", "/v1/baits", BAIT)
    await _submissions(stage, size)
    if not size.recipients:
        return
    await enough_recipients(stage, size.recipients + LEAVING)
    await stage.crowd.leave_by_phone(min(LEAVING, size.recipients // 50))
    await quiet(stage)
    stage.recipients = stage.crowd.recipients
    stage.verdict.recipients = len(stage.recipients)
    await _campaign(stage, size)
    await quiet(stage)


async def _submissions(stage: Stage, size: Size) -> None:
    """Submissions, and `kill -9` at random moments of them."""
    crowd = stage.crowd
    chance = random.Random(f"submissions {stage.seed}")
    if size.offered is not None:
        await offer(stage, size.offered, chance)
        await quiet(stage)
        return
    moments = sorted(
        round(chance.uniform(0.03, 0.95) * size.submissions) for _ in range(size.kills_submitting)
    )
    coming = asyncio.create_task(_keep_coming(stage, size))
    try:
        for moment in moments:
            await _strike_when(stage, chance, lambda at=moment: crowd.submitted >= at, coming)  # type: ignore[misc]
        await coming
    finally:
        coming.cancel()
    await quiet(stage)


async def _keep_coming(stage: Stage, size: Size) -> None:
    """So many people, and more until the last kill: on a quick machine they would all be done before it."""
    await stage.crowd.come(round(size.submissions * 0.96))
    while stage.victim.kills < size.kills_submitting:
        await stage.crowd.come(AT_ONCE)


async def enough_recipients(stage: Stage, wanted: int) -> None:
    """More people, without kills, until so many may be mailed: some do not agree, some mails are unknown."""
    for _ in range(4):
        missing = wanted - len(stage.crowd.recipients)
        if missing <= 0:
            return
        await stage.crowd.come(round(missing * 1.1) + 5)
        await quiet(stage)
    stage.verdict.faults.append(f"only {len(stage.crowd.recipients)} recipients could be had")


async def _campaign(stage: Stage, size: Size) -> None:
    """A campaign to everybody, and `kill -9` at random moments of it."""
    await campaign(stage)
    chance = random.Random(f"campaign {stage.seed}")
    moments = sorted(chance.uniform(0.02, 0.7) for _ in range(size.kills_pushing))
    if len(moments) > 1:
        moments[0] = 0  # while it is still being planned
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    watching = asyncio.create_task(until_done(stage))
    box = stage.postbox
    try:
        for moment in moments:
            at = round(moment * size.recipients)
            reached: Callable[[], bool] = lambda at=at: box.campaign_mails >= at  # type: ignore[misc]  # noqa: E731
            await _strike_when(stage, chance, reached, watching, size.pushing)
        await watching
    finally:
        watching.cancel()


async def until_done(stage: Stage) -> None:
    """Wait until the campaign is done, and keep how many mails were there at that moment."""
    state, still = "", Still(max(_CAMPAIGN_STANDSTILL, stage.standstill))
    while True:
        found = await stage.client.call("GET", f"/v1/campaigns/{stage.campaign_id}")
        state = f"{found['state']} {found['state_reason'] or ''}".strip()
        if found["state"] == "done":
            stage.done_at = stage.postbox.count()
            return
        if still.after(stage.stores.waiting() | {"kills": stage.victim.kills}):
            stage.verdict.faults.append(f"the campaign stands still: it is {state}")
            return
        await asyncio.sleep(0.1)


async def _strike_when(
    stage: Stage,
    chance: random.Random,
    reached: Callable[[], bool],
    work: "asyncio.Task[None]",
    only: str | None = None,
) -> None:
    """Kill a moment after `reached`; not at all when the work ends before that."""
    while not reached():
        if work.done():
            return
        await asyncio.sleep(0.005)
    await asyncio.sleep(chance.uniform(0.0, _LATEST))
    if stage.verdict.saboteur in SAY_SO:
        only = await _between_steps(stage) or only
    await stage.victim.strike(chance, only)


async def _between_steps(stage: Stage) -> str | None:
    """The process that a saboteur has brought between two steps, by name."""
    names = {pid: name for name, pid in stage.victim.pids().items()}
    pid = await caught(stage.victim.folder, names)
    return names[pid] if pid is not None else None

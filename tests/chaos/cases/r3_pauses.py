"""R3: a campaign paused and resumed many times, with settings changed in between: exactly once each."""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.case import Case, Form, Trial
from tests.chaos.client import GaveUp
from tests.chaos.crash import WINDOW, enough_recipients, until_done
from tests.chaos.judging import judge
from tests.chaos.saboteurs_push import PAUSES
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.verdict import Verdict

_LANES = 1
"""One connection: few messages are on the wire when a pause comes, and many pauses fit into a campaign."""

_REST = 0.25
"""Seconds: so long it is watched that nothing goes out in a pause."""


@dataclass(frozen=True, slots=True)
class Size:
    """How often it is paused on its way to how many."""

    pauses: int
    recipients: int


_SIZES: dict[Form, Size] = {
    "test": Size(10, 250),
    "short": Size(40, 1200),
    "full": Size(100, 5000),
}


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await stage.client.call("POST", "/v1/baits", BAIT)
            await enough_recipients(stage, size.recipients)
            stage.recipients = stage.crowd.recipients
            stage.verdict.recipients = len(stage.recipients)
            await _campaign(stage, size)
            await quiet(stage)
        await judge(stage)

    # an answer takes longer than an edit: there is always something on the wire
    return await play("R3", trial, act, lanes=_LANES, delay=0.01)


async def _campaign(stage: Stage, size: Size) -> None:
    draft = await campaign(stage)
    path = f"/v1/campaigns/{stage.campaign_id}"
    await stage.client.call("POST", f"{path}/start")
    chance = random.Random(f"pauses {stage.seed}")
    moments = sorted(chance.uniform(0.0, 0.6) for _ in range(size.pauses))
    done = 0
    for moment in [0.0, *moments[1:]]:
        await _until_mailed(stage, round(moment * size.recipients))
        paused = await stage.client.ask("POST", f"{path}/pause")
        if paused.status == 409:
            break
        done += 1
        await _edit(stage, path, _changed(draft, chance))
        if chance.random() < 0.5:
            await _at_rest(stage)
        await stage.client.call("POST", f"{path}/resume")
    if done < size.pauses:
        stage.verdict.faults.append(f"it was over after {done} of {size.pauses} pauses")
    await until_done(stage)


async def _until_mailed(stage: Stage, count: int) -> None:
    """Wait until so many of its mails have arrived."""
    path = f"/v1/campaigns/{stage.campaign_id}"
    while stage.postbox.campaign_mails < count:
        if (await stage.client.call("GET", path))["state"] == "done":
            return
        await asyncio.sleep(0.02)


async def _edit(stage: Stage, path: str, settings: dict[str, Any]) -> None:
    found = await stage.client.ask("GET", path)
    version = {"if-match": found.headers["etag"]}
    answer = await stage.client.ask("PUT", path, body=settings, headers=version)
    if answer.status != 200:
        raise GaveUp(f"an edit was answered with {answer.status}: {answer.text}")


def _changed(draft: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    return {
        **draft,
        "priority": chance.randint(1, 9),
        "capped": chance.random() < 0.5,
        "until": chance.choice([None, tomorrow.isoformat()]),
    }


async def _at_rest(stage: Stage) -> None:
    """What was on the wire arrives; then nothing does."""
    before = stage.sink.count
    await asyncio.sleep(_REST)
    if (after := stage.sink.count - before) > _LANES * WINDOW:
        stage.verdict.faults.append(f"{after} mails arrived within {_REST:g} s of a pause")


CASE = Case(
    "R3",
    "a campaign paused and resumed many times, with settings changed in between",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=tuple(PAUSES),
)

"""R9: the wall clock jumps by an hour or a day, forwards and backwards, while a campaign is sent."""

import asyncio
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from tests.chaos.case import Case, Form, Trial
from tests.chaos.crash import enough_recipients, until_done
from tests.chaos.judging import judge
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.verdict import Verdict
from tests.chaos.wrong_clock import OFFSET

_HOUR, _DAY = 3600, 86_400
_JUMPS = (_HOUR, -_HOUR, _DAY, -_DAY)
_SIZES: dict[Form, int] = {"test": 60, "short": 400, "full": 4000}
_SPARE = timedelta(minutes=30)
"""When the scheduled campaign starts: before the clock says so after any jump forwards."""

_NOTICED = 2.5
"""Seconds after which a jump must have been seen, and what was on the wire is through."""

_STANDS = 2.0


async def _run(trial: Trial) -> Verdict:
    jumps = list(_JUMPS)
    random.Random(f"clock {trial.seed}").shuffle(jumps)

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        async with reading(stage):
            await enough_recipients(stage, _SIZES[trial.form])
            await quiet(stage)
            stage.recipients = stage.crowd.recipients
            stage.verdict.recipients = len(stage.recipients)
            await _jump_through(stage, jumps)
            await quiet(stage)
        await judge(stage)

    # few lanes and a slow server: the campaign must last longer than all jumps
    return await play("R9", trial, act, changes=("wrong-clock",), lanes=1, delay=0.03)


async def _jump_through(stage: Stage, jumps: list[int]) -> None:
    draft = await campaign(stage)
    start = (datetime.now(UTC) + _SPARE).isoformat()
    later = draft | {"name": "Later", "start_at": start}
    scheduled = (await stage.client.call("POST", "/v1/campaigns", later))["id"]
    await stage.client.call("POST", f"/v1/campaigns/{scheduled}/schedule")
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    for number, jump in enumerate(jumps, 1):
        share = number / (len(jumps) + 1) * len(stage.recipients)
        end = time.monotonic() + 30
        while stage.postbox.count() < share and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await _jump(stage, jump)
    await until_done(stage)
    await _not_early(stage, scheduled)


async def _jump(stage: Stage, seconds: int) -> None:
    """Nothing of a campaign goes out while the time is in doubt; it goes on when the clock is right again."""
    switches = stage.victim.folder / "switches"
    switches.mkdir(exist_ok=True)
    path = switches / OFFSET
    path.with_suffix(".new").write_text(str(seconds))
    path.with_suffix(".new").replace(path)
    stage.verdict.kills += 1
    await asyncio.sleep(_NOTICED)
    before = stage.postbox.count()
    status = await stage.client.call("GET", "/v1/deliveries/status")
    if not status["clock"]:
        stage.verdict.faults.append(f"a jump of {seconds} s is not said in the status")
    await asyncio.sleep(_STANDS)
    if (more := stage.postbox.count() - before) > 0:
        stage.verdict.faults.append(f"{more} messages went out after a jump of {seconds} s")
    path.unlink()


async def _not_early(stage: Stage, scheduled: str) -> None:
    """The campaign of half an hour from now has neither begun nor reached anybody."""
    found = await stage.client.call("GET", f"/v1/campaigns/{scheduled}")
    if found["state"] != "scheduled":
        stage.verdict.faults.append(f"a campaign of later is {found['state']} already")
    subjects = Counter(mail.recipient for mail in stage.postbox.mails if mail.kind == "campaign")
    if twice := sum(count > 1 for count in subjects.values()):
        stage.verdict.faults.append(f"{twice} people were mailed too early")
    await stage.client.call("POST", f"/v1/campaigns/{scheduled}/cancel")


CASE = Case(
    "R9",
    "the clock jumps by an hour or a day, forwards and backwards, while it runs",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("believes-the-clock",),
)

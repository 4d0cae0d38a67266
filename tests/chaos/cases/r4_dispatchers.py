"""R4: several dispatchers on the same campaigns, one of which stands still past its lease and wakes again."""

import asyncio
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.chaos.case import Case, Form, Trial
from tests.chaos.crash import WINDOW, enough_recipients
from tests.chaos.dispatchers import ASLEEP
from tests.chaos.stage import BAIT, Stage, Still, campaign, play, quiet, reading
from tests.chaos.stores import Row, plain
from tests.chaos.verdict import Verdict
from tests.components.processes import free_port

_SIZES: dict[Form, int] = {"test": 150, "short": 600, "full": 6000}
"""How many recipients there are."""

_LANES = 1  # few, so that dispatchers hold messages that are not on the wire yet
_ASLEEP_SECONDS = 7.0
"""Longer than a lease, which is 4 s here."""

_PROMISED = ("sent", "unknown")
_WORKING = ("planned", "claimed", "sending")


@dataclass
class _Scene:
    stage: Stage
    dispatchers: int
    draft: dict[str, Any] = field(default_factory=dict)
    alone: str = ""
    overlapping: tuple[str, str] = ("", "")


async def _run(dispatchers: int, trial: Trial) -> Verdict:
    async def act(stage: Stage) -> None:
        scene = _Scene(stage, dispatchers)
        await stage.client.call("POST", "/v1/baits", BAIT)
        async with reading(stage):
            await enough_recipients(stage, _SIZES[trial.form])
            await quiet(stage)
        stage.recipients = stage.crowd.recipients
        stage.verdict.recipients = len(stage.recipients)
        await _more_processes(scene)
        await _one_campaign(scene)
        await _two_under_a_cap(scene)
        _judge(scene)

    word = {2: "two", 4: "four"}[dispatchers]
    changes = ["quick-leases", "small-claims"]
    if trial.mode == "embedded":
        changes.append(f"{word}-dispatchers")
    settings = {"BAITWELL_CAP_DAY": "1", "BAITWELL_CAP_WEEK": "1"}
    verdict = await play(
        f"R4-{word}", trial, act, settings=settings, changes=changes, lanes=_LANES, delay=0.04
    )
    verdict.unknown_bound = 2 * _LANES * WINDOW * 2  # it stands still twice
    return verdict


async def _more_processes(scene: _Scene) -> None:
    if scene.stage.victim.mode == "embedded":
        return
    victim = scene.stage.scaled
    for number in range(2, scene.dispatchers + 1):
        name, port = f"push-{number}", free_port()
        victim.upstreams[name] = f"http://127.0.0.1:{port}"
        victim.processes[name] = victim.start_process("push", name, port, "--channels", "email")
    for number in range(2, scene.dispatchers + 1):
        await victim.until_ready(f"push-{number}")


async def _one_campaign(scene: _Scene) -> None:
    """Everybody gets it, capped or not; in the middle of it one dispatcher falls asleep."""
    stage = scene.stage
    scene.draft = await campaign(stage, capped=False)
    scene.alone = plain(stage.campaign_id)
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    await _sleep_in_the_middle(scene, {scene.alone}, len(stage.recipients))
    await _finished(stage, {scene.alone})


async def _two_under_a_cap(scene: _Scene) -> None:
    """Two campaigns at once, and everybody may get one of them only."""
    stage = scene.stage
    started = []
    for name in ("Winter", "Spring"):
        draft = scene.draft | {"name": name, "capped": True}
        started.append((await stage.client.call("POST", "/v1/campaigns", draft))["id"])
    scene.overlapping = (plain(started[0]), plain(started[1]))
    await asyncio.gather(
        *(stage.client.call("POST", f"/v1/campaigns/{id_}/start") for id_ in started)
    )
    await _sleep_in_the_middle(scene, set(scene.overlapping), len(stage.recipients))
    await _finished(stage, set(scene.overlapping))


async def _sleep_in_the_middle(scene: _Scene, campaigns: set[str], recipients: int) -> None:
    stage = scene.stage
    share = random.Random(f"asleep {stage.seed} {sorted(campaigns)}").uniform(0.1, 0.5)
    end = time.monotonic() + 60
    while _reached(stage, campaigns) < share * recipients and time.monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    stage.verdict.kills += 1
    if stage.victim.mode == "scaled":
        sleeper = stage.scaled.processes["push-2"]
        sleeper.signal(signal.SIGSTOP)
        await asyncio.sleep(_ASLEEP_SECONDS)
        sleeper.signal(signal.SIGCONT)
        return
    switches = stage.victim.folder / "switches"
    switches.mkdir(exist_ok=True)
    (switches / ASLEEP).touch()
    await asyncio.sleep(_ASLEEP_SECONDS)
    (switches / ASLEEP).unlink()


def _reached(stage: Stage, campaigns: set[str]) -> int:
    return sum(row.state in _PROMISED for row in stage.stores.ledger() if row.campaign in campaigns)


async def _finished(stage: Stage, campaigns: set[str]) -> None:
    """Wait until nothing of these is on its way; what the cap holds waits for another week."""
    still = Still(30.0)
    calm = 0
    while calm < 3:
        rows = [row for row in stage.stores.ledger() if row.campaign in campaigns]
        left = Counter(row.state for row in rows if row.state in _WORKING)
        if still.after(dict(left) | {"rows": len(rows)}):
            stage.verdict.faults.append(f"a campaign stands still: {dict(left)}")
            return
        planned = len(rows) >= len(campaigns) * len(stage.recipients)
        calm = calm + 1 if planned and not left else 0
        await asyncio.sleep(0.3)


def _judge(scene: _Scene) -> None:
    stage = scene.stage
    verdict = stage.verdict
    stage.postbox.fetch()
    arrived = Counter(plain(mail.delivery) for mail in stage.postbox.mails)
    verdict.messages_doubled = sum(count - 1 for count in arrived.values())
    rows = [row for row in stage.stores.ledger() if row.campaign]
    verdict.unknown = sum(row.state == "unknown" for row in rows)
    lost = [row.id for row in rows if row.state == "sent" and not arrived[row.id]]
    wrong = [row.id for row in rows if row.state not in _PROMISED and arrived[row.id]]
    reached = {row.address for row in rows if _is_of(row, scene.alone)}
    verdict.lost = len(lost) + len(stage.recipients - reached)
    if lost or stage.recipients - reached:
        verdict.faults.append(f"{verdict.lost} messages were lost")
    if wrong:
        verdict.faults.append(f"{len(wrong)} messages arrived of which the ledger says otherwise")
    of_both = Counter(
        row.address for row in rows if any(_is_of(row, id_) for id_ in scene.overlapping)
    )
    two = sum(count > 1 for count in of_both.values())
    nothing = sum(not of_both[address] for address in stage.recipients)
    if two:
        verdict.faults.append(f"{two} people got both campaigns under a cap of one")
    if nothing:
        verdict.faults.append(f"{nothing} people got neither of two campaigns")


def _is_of(row: Row, campaign_id: str) -> bool:
    return row.campaign == campaign_id and row.state in _PROMISED


def _case(dispatchers: int, word: str) -> Case:
    return Case(
        f"R4-{word}",
        f"{word} dispatchers on the same campaigns, one of which stands still and wakes",
        partial(_run, dispatchers),
        modes=("embedded", "scaled"),
        saboteurs=("no-claim-token", "no-cap"),
    )


TWO, FOUR = _case(2, "two"), _case(4, "four")

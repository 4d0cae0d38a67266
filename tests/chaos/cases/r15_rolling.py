"""R15: a rolling restart under load; more processes of a service join, and leave with and without a word."""

import asyncio
import random
import signal
import time
from collections.abc import Mapping

from tests.chaos.case import Case, Form, Trial
from tests.chaos.counters import samples
from tests.chaos.judging import judge
from tests.chaos.stage import BAIT, Stage, play, quiet, reading
from tests.chaos.verdict import Verdict
from tests.components.processes import free_port
from tests.components.waiting import TooLate
from tests.e2e.systems import SERVICES, STOP_SECONDS

_ROUNDS: dict[Form, int] = {"test": 1, "short": 2, "full": 12}
_AT_ONCE = 8
_PAUSE = 0.5
_SAME_SECONDS = 15.0
_JOIN = ("profile", "push", "metrics")


async def _run(trial: Trial) -> Verdict:
    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        async with reading(stage):
            coming = asyncio.create_task(_load(stage))
            try:
                for number in range(1, _ROUNDS[trial.form] + 1):
                    await _round(stage, number)
            finally:
                coming.cancel()
            await quiet(stage)
            await _same_totals(stage)
        await judge(stage)

    return await play("R15", trial, act, changes=("quick-leases", "quick-sessions"))


async def _load(stage: Stage) -> None:
    """People keep coming, until cancelled; who has begun is answered all the same."""
    while True:
        await asyncio.shield(asyncio.create_task(stage.crowd.come(_AT_ONCE)))
        await asyncio.sleep(_PAUSE)


async def _round(stage: Stage, number: int) -> None:
    """Others join, everybody is restarted in turn, the others leave."""
    victim = stage.scaled
    for service in _JOIN:
        await _join(stage, service, f"{service}-more-{number}")
    order = list(SERVICES)
    random.Random(f"rolling {stage.seed} {number}").shuffle(order)
    for service in order:
        await _stop(stage, service)
        victim.start_service(service)
        await victim.until_ready(service)
    # one goes without a word: its share has to be taken over
    lost = victim.processes.pop(f"profile-more-{number}")
    await asyncio.to_thread(lost.kill)
    victim.kills += 1
    await _stop(stage, f"push-more-{number}")
    del victim.processes[f"push-more-{number}"]


async def _join(stage: Stage, service: str, name: str) -> None:
    victim, port = stage.scaled, free_port()
    victim.upstreams[name] = f"http://127.0.0.1:{port}"
    victim.processes[name] = victim.start_process(service, name, port)
    await victim.until_ready(name)


async def _stop(stage: Stage, name: str) -> None:
    """SIGTERM; it has to end by itself within 5 s."""
    begun = time.monotonic()
    status = await asyncio.to_thread(stage.scaled.processes[name].stop, STOP_SECONDS + 5)
    if status not in (0, -signal.SIGTERM) or time.monotonic() - begun > STOP_SECONDS:
        took = round(time.monotonic() - begun, 1)
        stage.verdict.faults.append(f"{name} ended with {status} after {took} s")


async def _same_totals(stage: Stage) -> None:
    """Every process of metrics shows the same totals."""
    urls = [
        stage.scaled.upstreams[name]
        for name in stage.scaled.processes
        if name.startswith("metrics")
    ]
    end = time.monotonic() + _SAME_SECONDS
    while True:
        found = [_totals(await samples([url])) for url in urls]
        if all(totals == found[0] for totals in found) and any(found[0].values()):
            return
        if time.monotonic() > end:
            raise TooLate(f"processes of metrics show different totals: {found}")
        await asyncio.sleep(0.5)


def _totals(found: list[tuple[str, dict[str, str], float]]) -> Mapping[str, float]:
    return {
        str(sorted(labels.items())): value
        for name, labels, value in found
        if name == "baitwell_funnel_total"
    }


CASE = Case(
    "R15",
    "rolling restart under load; processes join and leave",
    _run,
    modes=("scaled",),
    saboteurs=("early-position",),
)

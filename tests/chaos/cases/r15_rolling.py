"""R15: SIGTERM and rolling restarts under load; processes join and leave, with and without a word.

In the scaled mode over three brokers, one of which, a leader, is killed meanwhile.
"""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Mapping
from dataclasses import replace

from aiokafka.admin import AIOKafkaAdminClient

from services.shared.events.catalogue import PARTITIONS
from tests.chaos.backing import Backing, backing
from tests.chaos.between import SAY_SO, caught
from tests.chaos.case import Case, Form, Trial
from tests.chaos.client import Client
from tests.chaos.counters import samples
from tests.chaos.crash import WINDOW
from tests.chaos.crowd import SLUG
from tests.chaos.going_on import goes_on
from tests.chaos.judging import judge
from tests.chaos.stage import BAIT, Stage, play, quiet, reading
from tests.chaos.switches import HELD_COMMITS
from tests.chaos.verdict import Verdict
from tests.components import kafka
from tests.components.processes import free_port
from tests.components.waiting import TooLate
from tests.e2e.systems import SERVICES, STOP_SECONDS

_BROKERS = 3
_ROUNDS: dict[Form, int] = {"test": 1, "short": 2, "full": 12}
_AT_ONCE = 8
_LANES = 4
_PAUSE = 0.5
_SAME_SECONDS = 15.0
_JOIN = ("profile", "push", "metrics")
_ON_THE_WAY = 0.3
"""Seconds in which a request has arrived."""


async def _run(trial: Trial) -> Verdict:
    rounds = _ROUNDS[trial.form]
    (trial.folder / "switches").mkdir()
    with contextlib.ExitStack() as stack:
        settings = {}
        if trial.mode == "scaled":
            trial = replace(trial, backing=stack.enter_context(backing(_BROKERS)))
            settings["BAITWELL_KAFKA_REPLICATION"] = str(_BROKERS)

        async def act(stage: Stage) -> None:
            await _act(stage, rounds)

        changes = ("quick-leases", "quick-sessions", HELD_COMMITS)
        verdict = await play("R15", trial, act, changes=changes, settings=settings, lanes=_LANES)
    if trial.mode == "embedded":
        verdict.unknown_bound = 2 * _LANES * WINDOW * verdict.kills
    return verdict


async def _act(stage: Stage, rounds: int) -> None:
    await stage.client.call("POST", "/v1/baits", BAIT)
    async with reading(stage):
        coming = asyncio.create_task(_load(stage))
        try:
            for number in range(1, rounds + 1):
                if stage.victim.mode == "scaled":
                    await _round(stage, number)
                else:
                    await goes_on(stage, "a start")
                    await _restart(stage, "all")
                    await _crash(stage)
        finally:
            coming.cancel()
        await quiet(stage)
        if stage.victim.mode == "scaled":
            await _same_totals(stage)
    await judge(stage)


async def _load(stage: Stage) -> None:
    """People keep coming, until cancelled; who has begun is answered all the same."""
    while True:
        await asyncio.shield(asyncio.create_task(stage.crowd.come(_AT_ONCE)))
        await asyncio.sleep(_PAUSE)


async def _round(stage: Stage, number: int) -> None:
    """Others join, a leader is lost, everybody is restarted in turn, the leader returns, the others leave."""
    victim, chance = stage.scaled, random.Random(f"rolling {stage.seed} {number}")
    for service in _JOIN:
        await _join(stage, service, f"{service}-more-{number}")
    leader = await _lose_leader(stage, chance)
    order = list(SERVICES)
    chance.shuffle(order)
    for service in order:
        await _restart(stage, service)
    await _node(victim.backing, "start", leader)
    # one goes without a word: its share has to be taken over
    lost = victim.processes.pop(f"profile-more-{number}")
    if stage.verdict.saboteur in SAY_SO:
        await caught(victim.folder, [lost.pid])
    await asyncio.to_thread(lost.kill)
    victim.kills += 1
    await _stop(stage, f"push-more-{number}")
    del victim.processes[f"push-more-{number}"]
    await goes_on(stage, "some have left")


async def _crash(stage: Stage) -> None:
    """One that goes without a word, where there is only one."""
    if stage.verdict.saboteur in SAY_SO:
        await caught(stage.victim.folder, stage.victim.pids().values())
    await stage.embedded.strike()


async def _join(stage: Stage, service: str, name: str) -> None:
    victim, port = stage.scaled, free_port()
    victim.upstreams[name] = f"http://127.0.0.1:{port}"
    victim.processes[name] = victim.start_process(service, name, port)
    await victim.until_ready(name)


async def _lose_leader(stage: Stage, chance: random.Random) -> int:
    """`kill -9` of the broker that leads one of the partitions of leads; it goes on by itself."""
    victim = stage.scaled
    topic = victim.settings["BAITWELL_KAFKA_PREFIX"] + "leads"
    admin = AIOKafkaAdminClient(bootstrap_servers=victim.settings["BAITWELL_KAFKA_SERVERS"])
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
    finally:
        await admin.close()
    number = chance.randrange(PARTITIONS)
    leader = next(p["leader"] for p in found["partitions"] if p["partition"] == number)
    await _node(victim.backing, "kill", leader)
    victim.kills += 1
    await goes_on(stage, f"broker {leader} was killed")
    return int(leader)


async def _node(behind: Backing, verb: str, number: int) -> None:
    assert behind.root is not None
    await asyncio.to_thread(kafka.node, behind.root, verb, number)


async def _restart(stage: Stage, name: str) -> None:
    """SIGTERM, and a new start. Who takes leads has one in hand, and answers it on the way out."""
    if name in ("capture", "all"):
        await _stop_with_one_in_hand(stage, name)
    else:
        await _stop(stage, name)
    if name == "all":
        await stage.victim.begin()
    else:
        stage.scaled.start_service(name)
        await stage.scaled.until_ready(name)


async def _stop_with_one_in_hand(stage: Stage, name: str) -> None:
    held = stage.victim.folder / "switches" / HELD_COMMITS
    held.touch()
    address = f"in-hand{stage.crowd.submitted}.{stage.seed}@people.example"
    # past the proxy, which would ask again by itself
    async with Client(stage.victim.metrics_urls[0]) as client:
        asked = asyncio.create_task(
            client.attempt(
                "POST",
                f"/v1/baits/{SLUG}/leads",
                body={"contact": {"email": address}, "language": "en"},
                headers={"idempotency-key": address},
            )
        )
        await asyncio.sleep(_ON_THE_WAY)
        stopping = asyncio.create_task(_stop(stage, name))
        await asyncio.sleep(_ON_THE_WAY)
        held.unlink()
        answer = await asked
        await stopping
    if answer is None or answer.status != 202:
        said = "nothing" if answer is None else answer.status
        stage.verdict.faults.append(f"who asked before SIGTERM was answered with {said}")
    else:
        stage.book.note("lead", id=answer.json()["lead_id"], address=address)


async def _stop(stage: Stage, name: str) -> None:
    """SIGTERM; it has to end by itself within 5 s."""
    begun = time.monotonic()
    if name == "all":
        status = await stage.victim.end()
    else:
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
    "rolling restart under load; processes join and leave; a broker that leads is lost",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("early-position",),
)

"""R6: the link to mail server, broker and database is cut, then loses 30 % of all packets and takes 200 ms.

What is tested runs in a network namespace of its own; the sink, the broker and PostgreSQL are on the other
side of the link. The packets go through `tests.chaos.packets`, as many kernels come without netem.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from urllib.parse import urlsplit, urlunsplit

from bench.sinks.smtp import Session
from tests.chaos.backing import backing
from tests.chaos.case import Case, Form, NotHere, Trial
from tests.chaos.crash import WINDOW, enough_recipients, until_done
from tests.chaos.judging import judge
from tests.chaos.link import Link, linked
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.verdict import Verdict
from tests.chaos.victim import Target
from tests.e2e.systems import SERVICES

_LANES = 4
_CUT = 1.0
_LOSS, _DELAY = 0.3, 0.1
"""In each direction: a round trip takes 200 ms, and half of them are lost."""

_AT_ONCE = 8
_BACKOFF = 60.0
"""Seconds within which connections that were cut in the middle have found out that the link is whole."""


@dataclass(frozen=True, slots=True)
class Size:
    """To how many the campaign goes, and for how many seconds the link is cut, and poor; how often."""

    recipients: int
    seconds: float
    rounds: int


_SIZES: dict[Form, Size] = {
    "test": Size(60, 12, 1),
    "short": Size(200, 20, 1),
    "full": Size(2000, 30, 4),
}


async def _run(trial: Trial) -> Verdict:
    if trial.mode == "embedded" and trial.saboteur == "gives-up":
        raise NotHere("the log and the databases of one process are behind no link")
    size = _SIZES[trial.form]
    async with linked() as link:
        with contextlib.ExitStack() as stack:
            if trial.mode == "scaled":
                behind = stack.enter_context(backing(at=link.near))
                trial = replace(trial, backing=behind)

            async def begin(victim: Target) -> None:
                _move_in(victim, link)
                await victim.begin()

            async def act(stage: Stage) -> None:
                await _act(stage, link, size)

            changes = ("quick-leases", "quick-retries")
            verdict = await play(
                "R6", trial, act, changes=changes, lanes=_LANES, delay=0.05, begin=begin
            )
    # who is cut off while the mail server answers can't know the answer
    verdict.unknown_bound = 2 * _LANES * WINDOW * 2 * size.rounds
    return verdict


def _move_in(victim: Target, link: Link) -> None:
    """All of its services into the namespace; what they need is at the other end of the link."""
    victim.before = link.enter
    settings = victim.settings
    settings["BAITWELL_HOST"] = "0.0.0.0"  # the namespace has nobody else in it
    settings["BAITWELL_SMTP_URL"] = _at(settings["BAITWELL_SMTP_URL"], link.near)
    if victim.mode == "embedded":
        victim.url = settings["BAITWELL_PUBLIC_URL"] = _at(victim.url, link.inside)
        return
    settings["BAITWELL_DATABASE_URL"] = _at(settings["BAITWELL_DATABASE_URL"], link.near)
    settings["BAITWELL_TRUSTED_PROXIES"] = link.here
    for name in SERVICES:
        url = _at(settings[f"BAITWELL_{name.upper()}_URL"], link.inside)
        victim.upstreams[name] = settings[f"BAITWELL_{name.upper()}_URL"] = url  # type: ignore[attr-defined]


def _at(url: str, host: str) -> str:
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{place.rpartition(':')[2]}"))


async def _act(stage: Stage, link: Link, size: Size) -> None:
    port = urlsplit(stage.victim.settings["BAITWELL_SMTP_URL"]).port
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(stage.sink), link.near, port)
    try:
        await stage.client.call("POST", "/v1/baits", BAIT)
        async with reading(stage):
            await enough_recipients(stage, size.recipients)
            await quiet(stage)
            stage.recipients = stage.crowd.recipients
            stage.verdict.recipients = len(stage.recipients)
            await _campaign(stage, link, size)
            await quiet(stage)
        await judge(stage)
    finally:
        server.close()


async def _campaign(stage: Stage, link: Link, size: Size) -> None:
    stage.standstill = _BACKOFF
    await campaign(stage)
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    watching = asyncio.create_task(until_done(stage))
    coming: list[asyncio.Task[None]] = []
    for number in range(size.rounds):
        for part, loss, delay in ((0.2, _CUT, 0.0), (0.5, _LOSS, _DELAY)):
            await _mailed(stage, (number + part) / size.rounds * size.recipients)
            await link.be(loss, delay)
            coming.append(asyncio.create_task(stage.crowd.come(_AT_ONCE)))
            await asyncio.sleep(size.seconds)
            before = link.lost
            await link.be()
            if link.lost == before:
                stage.verdict.faults.append("no packet was lost: nothing went over the link")
    await asyncio.gather(watching, *coming)


async def _mailed(stage: Stage, count: float) -> None:
    """Wait until so many of the campaign's mails have arrived: it goes on by itself."""
    end = time.monotonic() + _BACKOFF
    while stage.postbox.campaign_mails < count:
        if time.monotonic() > end:
            stage.verdict.faults.append(f"it did not go on within {_BACKOFF:g} s")
            return
        await asyncio.sleep(0.02)


CASE = Case(
    "R6",
    "the link is cut, then loses 30 % of the packets and takes 200 ms",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("gives-up", "impatient"),
)

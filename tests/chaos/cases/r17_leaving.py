"""R17: parts stand still during a campaign, people leave: none is mailed later than 5 s after, the pause is shown."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.chaos.case import Case, Form, Trial
from tests.chaos.client import GaveUp
from tests.chaos.counters import series
from tests.chaos.crash import enough_recipients, until_done
from tests.chaos.saboteurs_push import LEAVING
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.stores import plain
from tests.chaos.switches import STOPPING
from tests.chaos.verdict import Verdict

_PROMISED = 5.0
_BEYOND = 3.0
"""Seconds for which the part stands still beyond that, so that there is time to break the promise."""

_DELAY = 0.05
"""Seconds that each answer to the second campaign takes: it has to last."""

_PATIENCE = 10.0
_BETWEEN = 20
"""Mails that go out between two stops."""

_PARTS: dict[str, bool] = {
    "relay profile": True,
    "consumer push": True,
    "relay metrics": True,
    "consumer profile": False,
    "consumer metrics": False,
}
"""What is stopped; whether push can't know then who has left, and has to pause.

An unsubscribe goes to push directly, a withdrawal is recorded by profile itself: without the consumers of
these two nothing is missed, and their lag is what is shown.
"""

_LAG = "baitwell_consumer_lag_records"
_PAUSED = "baitwell_dispatch_paused"


@dataclass(frozen=True, slots=True)
class Size:
    """How many parts stop, how many leave in each way while one stands, and to how many the campaign goes."""

    parts: int
    leaving: int
    recipients: int


_SIZES: dict[Form, Size] = {
    "test": Size(1, 4, 300),
    "short": Size(5, 10, 1500),
    "full": Size(5, 20, 3000),
}


@dataclass
class Watch:
    """When the mails of the second campaign arrived, and when people were told that they are out."""

    stage: Stage
    arrived: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    since: int = 0

    async def run(self) -> None:
        """Note arrivals, until cancelled."""
        seen = self.since
        while True:
            for message in self.stage.sink.taken[seen:]:
                self.arrived.setdefault(message.recipient.decode().lower(), time.monotonic())
                seen += 1
            await asyncio.sleep(0.02)


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]
    (trial.folder / "switches").mkdir()

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await stage.client.call("POST", "/v1/baits", BAIT)
            await enough_recipients(stage, size.recipients)
        stage.recipients = stage.crowd.recipients
        stage.verdict.recipients = len(stage.recipients)
        await _send(stage)
        await until_done(stage)
        await quiet(stage)
        watch = Watch(stage, since=len(stage.sink.taken))
        stage.sink.options.delay = _DELAY
        await _send(stage)
        watching = asyncio.create_task(watch.run())
        try:
            for part in list(_PARTS)[: size.parts]:
                await _stopped(watch, part, size)
            await until_done(stage)
            await quiet(stage)
        finally:
            watching.cancel()
        _judge(watch)
        await stage.victim.end()

    settings = {"BAITWELL_CAP_DAY": "0", "BAITWELL_CAP_WEEK": "0"}
    return await play("R17", trial, act, settings=settings, lanes=1, changes=(STOPPING,))


async def _send(stage: Stage) -> None:
    await campaign(stage)
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")


async def _stopped(watch: Watch, part: str, size: Size) -> None:
    """One part stands still while people leave; it goes on when the promised time is over."""
    stage = watch.stage
    await _mailed(watch, _BETWEEN)
    switch = stage.victim.folder / "switches" / f"stopped {part}"
    switch.touch()
    await asyncio.sleep(0.1)
    left = sorted(stage.recipients - watch.arrived.keys() - watch.gone.keys())
    chance = random.Random(f"{part} {stage.seed}")
    if len(left) < 2 * size.leaving:
        stage.verdict.faults.append(f"the campaign was over before {part} was stopped")
        switch.unlink()
        return
    leaving = chance.sample(left, 2 * size.leaving)
    for number, address in enumerate(leaving):
        await (_unsubscribes if number % 2 else _withdraws)(stage, address)
        watch.gone[address] = time.monotonic()
    last = time.monotonic()
    if not await _shown(stage, part):
        stage.verdict.faults.append(f"{part} was stopped, and nothing showed it")
    await asyncio.sleep(last + _PROMISED + _BEYOND - time.monotonic())
    switch.unlink()


async def _shown(stage: Stage, part: str) -> bool:
    """Whether an operator sees it: marketing paused, or a lag."""
    kind, _, name = part.partition(" ")
    end = time.monotonic() + _PROMISED
    while time.monotonic() < end:
        if _PARTS[part]:
            status = await stage.client.call("GET", "/v1/deliveries/status")
            if status["marketing_paused"] == "view_too_old":
                return await _soon(
                    lambda: series(stage.victim.metrics_urls, _PAUSED, what="marketing")
                )
        elif kind == "consumer" and await series(stage.victim.metrics_urls, _LAG, consumer=name):
            return True
        await asyncio.sleep(0.2)
    return False


async def _soon(value: Callable[[], Awaitable[int]]) -> bool:
    end = time.monotonic() + _PATIENCE
    while not await value():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.2)
    return True


async def _mailed(watch: Watch, more: int) -> None:
    """Wait until some more mails of the campaign have gone out: it runs."""
    wanted = len(watch.arrived) + more
    end = time.monotonic() + 3 * _PATIENCE
    while len(watch.arrived) < wanted:
        if time.monotonic() > end:
            watch.stage.verdict.faults.append("the campaign does not go on")
            return
        await asyncio.sleep(0.05)


async def _unsubscribes(stage: Stage, address: str) -> None:
    """By the one-click link of the first campaign's mail."""
    stage.postbox.fetch()
    mail = next(m for m in stage.postbox.mails if m.recipient == address and m.one_click)
    body = {"List-Unsubscribe": "One-Click"}
    answer = await stage.client.ask("POST", mail.one_click or "", form=body)
    if answer.status != 200:
        raise GaveUp(f"one-click was answered with {answer.status}")
    stage.book.note("unsubscribed", address=address, delivery=mail.delivery)


async def _withdraws(stage: Stage, address: str) -> None:
    """By a call to somebody who records it."""
    _, profile, _ = stage.stores.contacts()[address]
    body = {"channel": "email", "given": False, "provenance": "a call"}
    await stage.client.call("POST", f"/v1/profiles/{profile}/consents", body)
    stage.book.note("withdrawn", address=address)


def _judge(watch: Watch) -> None:
    """Who left in time was not mailed, everybody else was, once."""
    stage, verdict = watch.stage, watch.stage.verdict
    stage.postbox.fetch()
    late = {
        address: watch.arrived[address] - at
        for address, at in watch.gone.items()
        if address in watch.arrived and watch.arrived[address] - at > _PROMISED
    }
    if late:
        verdict.faults.append(
            f"{len(late)} people were mailed up to {max(late.values()):.1f} s after they had left"
        )
    campaigns = Counter(m.recipient for m in stage.postbox.mails if m.kind == "campaign")
    ledger = [row for row in stage.stores.ledger() if row.campaign == plain(stage.campaign_id)]
    verdict.messages_doubled = sum(max(0, count - 2) for count in campaigns.values())
    reached = {row.address for row in ledger if row.state in ("sent", "unknown")}
    verdict.unknown = sum(row.state == "unknown" for row in ledger)
    missed = stage.recipients - watch.gone.keys() - (reached & watch.arrived.keys())
    verdict.lost = len(missed)
    if missed:
        verdict.faults.append(f"{len(missed)} people were not mailed although they had not left")
    strangers = campaigns.keys() - stage.recipients
    if strangers:
        verdict.faults.append(f"{len(strangers)} people were mailed who had not agreed")


CASE = Case(
    "R17",
    "consumers and outboxes stand still during a campaign while people leave",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=tuple(LEAVING),
)

"""What a case stands on: a system as a user starts it, a mail sink that outlives it, people, and their book."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from bench.sinks.smtp import Options, Sink, running
from tests.chaos.backing import own_backing
from tests.chaos.book import Book
from tests.chaos.case import Trial
from tests.chaos.client import Client, GaveUp
from tests.chaos.crowd import SLUG, Crowd
from tests.chaos.post import Postbox
from tests.chaos.scaled import ScaledVictim
from tests.chaos.stores import Stores
from tests.chaos.verdict import Verdict
from tests.chaos.victim import Target, Victim
from tests.components.waiting import TooLate

_STANDSTILL = 12.0
"""Longer than any pause that the system makes by itself here."""

_STANDSTILLS = {"embedded": _STANDSTILL, "scaled": 45.0}
"""A lease of a process that was killed runs out after half a minute."""

BAIT: dict[str, Any] = {
    "slug": SLUG,
    "title": "Price list",
    "language": "en",
    "resource": {"kind": "text", "text": "All prices."},
    "consents": [
        {"purpose": "marketing", "channel": "email", "text": "Write to me.", "version": "1"}
    ],
    "release": "verified",
}
TEMPLATE: dict[str, Any] = {
    "name": "Autumn",
    "default_language": "en",
    "contents": {
        "en": {
            "subject": "The autumn list",
            "html": '<p>It is here: <a href="https://shop.example/autumn">look</a>.</p>',
        }
    },
}


@dataclass
class Stage:
    """Who takes part in a run."""

    seed: int
    verdict: Verdict
    victim: Target
    client: Client
    sink: Sink
    postbox: Postbox
    book: Book
    crowd: Crowd
    stores: Stores
    recipients: set[str] = field(default_factory=set)
    campaign_id: str = ""
    done_at: int | None = None
    """How many of the campaign's mails had arrived when it first said that it is done."""

    standstill: float = _STANDSTILL

    @property
    def embedded(self) -> Victim:
        """The system of a case that has only the embedded mode."""
        assert isinstance(self.victim, Victim)
        return self.victim

    @property
    def scaled(self) -> ScaledVictim:
        """The system of a case that has only the scaled mode."""
        assert isinstance(self.victim, ScaledVictim)
        return self.victim


async def play(
    name: str,
    trial: Trial,
    act: Callable[[Stage], Awaitable[None]],
    *,
    settings: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
    lanes: int = 4,
    delay: float = 0.0,
    mail: Options | None = None,
    before: Sequence[str] = (),
    begin: Callable[[Target], Awaitable[None]] | None = None,
) -> Verdict:
    """Play one trial on a fresh system. What stops it in the middle is a fault like others.

    `changes` are words of `tests.chaos.changed`; `mail` says how the sink behaves, in place of `delay`;
    `before` are words before the embedded program's command; `begin` is done in place of starting the
    system. Raises `NotHere`.
    """
    verdict = Verdict(name, trial.mode, trial.seed, saboteur=trial.saboteur)
    begun = time.monotonic()
    book = Book(trial.folder / "acknowledged.jsonl")
    options = mail or Options(delay=delay, keep=True)
    async with running(options, record=trial.folder / "sink.tsv") as (sink, port):
        given = {
            "BAITWELL_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "BAITWELL_MAIL_LANES": str(lanes),
            # people here read quicker than any, and none of them is a machine
            "BAITWELL_EARLY_SECONDS": "0",
            **(settings or {}),
        }
        victim = target(trial, given, changes, before)
        stores = victim.stores()
        verdict.begun = False
        try:
            await (begin(victim) if begin else victim.begin())
            verdict.begun = True
            async with Client(victim.url, victim.admin_key) as client:
                postbox = Postbox(sink)
                crowd = Crowd(client, postbox, book, trial.seed)
                stage = Stage(
                    trial.seed, verdict, victim, client, sink, postbox, book, crowd, stores
                )
                stage.standstill = _STANDSTILLS[trial.mode]
                await act(stage)
        except (TooLate, GaveUp) as error:
            verdict.faults.append(f"stopped: {error}")
        finally:
            victim.kill()
            stores.close()
            book.close()
    verdict.accepted = book.count("lead")
    verdict.seconds = round(time.monotonic() - begun)
    verdict.kills += victim.kills
    return verdict


def target(
    trial: Trial,
    settings: dict[str, str],
    changes: Sequence[str] = (),
    before: Sequence[str] = (),
) -> Target:
    """The system that a trial is about, not started yet. Raises `NotHere`."""
    if trial.mode == "embedded":
        victim = Victim(trial.folder, settings, saboteur=trial.saboteur, changes=changes)
        victim.before = before
        return victim
    backing = trial.backing or own_backing()
    return ScaledVictim(trial.folder, settings, backing, saboteur=trial.saboteur, changes=changes)


@asynccontextmanager
async def reading(stage: Stage) -> AsyncIterator[None]:
    """People read their mail and act on it while the block runs."""
    task = asyncio.create_task(stage.crowd.read_mail())
    try:
        yield
    finally:
        task.cancel()
        stage.crowd.go_home()
        with suppress(asyncio.CancelledError):
            await task


async def campaign(stage: Stage, **changes: Any) -> dict[str, Any]:
    """The draft of a campaign to everybody, as it was sent; its id is kept.

    Its segment holds also who did not agree or verify: the policy has to stop these.
    """
    again = " again" if stage.campaign_id else ""
    segment = {"name": f"All{again}", "rule": {"bait": SLUG}}
    made = await stage.client.call("POST", "/v1/segments", segment)
    template = await stage.client.call(
        "POST", "/v1/templates", {**TEMPLATE, "name": f"Autumn{again}"}
    )
    draft = {"name": "Autumn", "segment_id": made["id"], "template_id": template["id"], **changes}
    stage.campaign_id = (await stage.client.call("POST", "/v1/campaigns", draft))["id"]
    return draft


async def quiet(stage: Stage) -> None:
    """Wait until nobody waits for an answer and nothing in the system waits either.

    What waits and does not move any more is a fault; the checker says what it means.
    """
    await stage.crowd.calm()
    calm, still = 0, Still(stage.standstill)
    while calm < 2:
        left = stage.stores.waiting() | ({"people": n} if (n := stage.crowd.busy) else {})
        if still.after(left):
            stage.verdict.faults.append(f"it does not get quiet: there is still {left}")
            return
        calm = 0 if left else calm + 1
        await asyncio.sleep(0.2)


class Still:
    """Tells when nothing has moved for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: dict[str, int] = {}
        self._moved_at = time.monotonic()

    def after(self, state: dict[str, int]) -> bool:
        """Whether the state has been the same for too long now."""
        if state != self._last:
            self._last, self._moved_at = state, time.monotonic()
        return time.monotonic() - self._moved_at > self._seconds

"""`kill -9` during submissions and during a campaign, then the checker (R1, R2).

A system started as a user starts it, on a data directory of its own. People leave contacts while it is
killed and started again; those who got their bait mail verify; a campaign goes to all of them while it
is killed again. Mail goes to a sink that outlives the system.
"""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.sinks.smtp import Options, running
from tests.chaos.book import Book, entries
from tests.chaos.case import Trial
from tests.chaos.checker import Evidence, examine, expected_counters
from tests.chaos.client import Client, GaveUp
from tests.chaos.counters import counters
from tests.chaos.crowd import SLUG, Crowd
from tests.chaos.post import Postbox
from tests.chaos.stores import Stores, plain
from tests.chaos.verdict import Verdict
from tests.chaos.victim import Victim
from tests.components.waiting import TooLate

WINDOW = 16
LEAVING = 20

_STANDSTILL = 12.0
"""Longer than any pause that the system makes by itself here."""

_CAMPAIGN_STANDSTILL = 30.0
_COUNTERS_SECONDS = 12.0
_LATEST = 0.15
"""Seconds: a kill comes at most so long after what it waits for."""

_UNSTORED = "an engagement was not stored"


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


FULL = Size(5000, 5000, 12, 12, lanes=10)
NORMAL = Size(2000, 2000, 4, 4, lanes=4)
SHORT = Size(300, 300, 1, 1, lanes=2)

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
class Scene:
    """Who takes part in a run."""

    seed: int
    size: Size
    victim: Victim
    client: Client
    crowd: Crowd
    postbox: Postbox
    stores: Stores
    verdict: Verdict
    recipients: set[str]
    campaign_id: str = ""
    done_at: int | None = None
    """How many of the campaign's mails had arrived when it first said that it is done."""


async def run(name: str, trial: Trial, size: Size) -> Verdict:
    """One run with its verdict. What stops it in the middle is a fault like others."""
    folder, seed, saboteur = trial.folder, trial.seed, trial.saboteur
    verdict = Verdict(name, trial.mode, seed, saboteur=saboteur)
    begun = time.monotonic()
    book = Book(folder / "acknowledged.jsonl")
    options = Options(delay=size.delay, keep=True)
    async with running(options, record=folder / "sink.tsv") as (sink, port):
        settings = {
            "BAITWELL_SMTP_URL": f"smtp://127.0.0.1:{port}",
            "BAITWELL_MAIL_LANES": str(size.lanes),
            # people here read quicker than any, and none of them is a machine
            "BAITWELL_EARLY_SECONDS": "0",
        }
        victim = Victim(folder, settings, saboteur=saboteur)
        try:
            await victim.begin()
            async with Client(victim.url, victim.admin_key) as client:
                postbox = Postbox(sink)
                crowd = Crowd(client, postbox, book, seed)
                stores = Stores(victim.data)
                scene = Scene(
                    seed, size, victim, client, crowd, postbox, stores, verdict, recipients=set()
                )
                await _play(scene)
            await _judge(scene, book)
        except (TooLate, GaveUp) as error:
            verdict.faults.append(f"stopped: {error}")
        finally:
            victim.kill()
            book.close()
    verdict.accepted = book.count("lead")
    verdict.seconds = round(time.monotonic() - begun)
    verdict.kills = victim.kills
    verdict.unknown_bound = 2 * size.lanes * WINDOW * victim.kills
    return verdict


async def _play(scene: Scene) -> None:
    reading = asyncio.create_task(scene.crowd.read_mail())
    try:
        await scene.client.call("POST", "/v1/baits", BAIT)
        await _submissions(scene)
        if not scene.size.recipients:
            return
        await _enough_recipients(scene)
        await scene.crowd.leave_by_phone(min(LEAVING, scene.size.recipients // 50))
        await _quiet(scene)
        scene.recipients = scene.crowd.recipients
        scene.verdict.recipients = len(scene.recipients)
        await _campaign(scene)
        await _quiet(scene)
    finally:
        reading.cancel()
        scene.crowd.go_home()
        with suppress(asyncio.CancelledError):
            await reading


async def _submissions(scene: Scene) -> None:
    """Submissions, and `kill -9` at random moments of them."""
    size, crowd = scene.size, scene.crowd
    chance = random.Random(f"submissions {scene.seed}")
    moments = sorted(
        round(chance.uniform(0.03, 0.95) * size.submissions) for _ in range(size.kills_submitting)
    )
    coming = asyncio.create_task(crowd.come(round(size.submissions * 0.96)))
    for moment in moments:
        await _strike_when(scene, chance, lambda at=moment: crowd.submitted >= at, coming)  # type: ignore[misc]
    await coming
    await _quiet(scene)


async def _enough_recipients(scene: Scene) -> None:
    """More people, without kills, in place of those whose bait mail is unknown or who did not agree."""
    for _ in range(4):
        missing = scene.size.recipients + LEAVING - len(scene.crowd.recipients)
        if missing <= 0:
            return
        await scene.crowd.come(round(missing * 1.1) + 5)
        await _quiet(scene)
    scene.verdict.faults.append(f"only {len(scene.crowd.recipients)} recipients could be had")


async def _campaign(scene: Scene) -> None:
    """A campaign to everybody, and `kill -9` at random moments of it."""
    client, size = scene.client, scene.size
    rule = {"bait": SLUG}  # also who did not agree or verify: the policy has to stop these
    segment = await client.call("POST", "/v1/segments", {"name": "All", "rule": rule})
    template = await client.call("POST", "/v1/templates", TEMPLATE)
    draft = {"name": "Autumn", "segment_id": segment["id"], "template_id": template["id"]}
    campaign = await client.call("POST", "/v1/campaigns", draft)
    scene.campaign_id = campaign["id"]
    chance = random.Random(f"campaign {scene.seed}")
    moments = sorted(chance.uniform(0.02, 0.7) for _ in range(size.kills_pushing))
    if len(moments) > 1:
        moments[0] = 0  # while it is still being planned
    await client.call("POST", f"/v1/campaigns/{scene.campaign_id}/start")
    watching = asyncio.create_task(_watch(scene))
    box = scene.postbox
    try:
        for moment in moments:
            at = round(moment * size.recipients)
            await _strike_when(scene, chance, lambda at=at: box.campaign_mails >= at, watching)  # type: ignore[misc]
        await watching
    finally:
        watching.cancel()


async def _watch(scene: Scene) -> None:
    """Wait for `done`, and keep how many mails were there at that moment."""
    state, still = "", _Still(_CAMPAIGN_STANDSTILL)
    while True:
        campaign = await scene.client.call("GET", f"/v1/campaigns/{scene.campaign_id}")
        state = f"{campaign['state']} {campaign['state_reason'] or ''}".strip()
        if campaign["state"] == "done":
            scene.done_at = scene.postbox.count()
            return
        if still.after(scene.stores.waiting() | {"kills": scene.victim.kills}):
            scene.verdict.faults.append(f"the campaign stands still: it is {state}")
            return
        await asyncio.sleep(0.1)


async def _strike_when(
    scene: Scene,
    chance: random.Random,
    reached: Callable[[], bool],
    work: "asyncio.Task[None]",
) -> None:
    """Kill a moment after `reached`; not at all when the work ends before that."""
    while not reached() and not work.done():  # noqa: ASYNC110  # a counter has no event
        await asyncio.sleep(0.005)
    if work.done():
        return
    await asyncio.sleep(chance.uniform(0.0, _LATEST))
    await scene.victim.strike()


async def _quiet(scene: Scene) -> None:
    """Wait until nobody waits for an answer and nothing in the system waits either.

    What waits and does not move any more is a fault; the checker says what it means.
    """
    await scene.crowd.calm()
    calm, still = 0, _Still(_STANDSTILL)
    while calm < 2:
        left = scene.stores.waiting() | ({"people": n} if (n := scene.crowd.busy) else {})
        if still.after(left):
            scene.verdict.faults.append(f"it does not get quiet: there is still {left}")
            return
        calm = 0 if left else calm + 1
        await asyncio.sleep(0.2)


class _Still:
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


async def _judge(scene: Scene, book: Book) -> None:
    """Compare everything, the databases after an ordinary stop."""
    verdict, stores = scene.verdict, scene.stores
    evidence = Evidence(
        acknowledged=[_plain_ids(entry) for entry in entries(book.path)],
        sink=[(plain(mail.delivery), mail.recipient, mail.kind) for mail in scene.postbox.mails],
        leads=stores.leads(),
        handled=stores.handled_leads(),
        profiles=stores.profiles(),
        contacts=stores.contacts(),
        ledger=stores.ledger(),
        suppressed=stores.suppressed(),
        recipients=scene.recipients,
        unstored=scene.victim.logs().count(_UNSTORED),
    )
    if scene.campaign_id:
        evidence.counters = await _settled_counters(scene, expected_counters(evidence))
    status = await scene.victim.end()
    found = examine(evidence)
    verdict.lost = found.lost
    verdict.profiles_doubled = found.profiles_doubled
    verdict.messages_doubled = found.messages_doubled
    verdict.unknown = found.unknown
    verdict.counters_off = found.counters_off
    verdict.faults += found.faults
    if status not in (0, -signal.SIGTERM):
        verdict.faults.append(f"it ended with {status} when it was asked to stop")
    if damaged := stores.damaged():
        verdict.faults.append(f"files that are damaged: {', '.join(damaged)}")
    arrived = sum(mail.kind == "campaign" for mail in scene.postbox.mails)
    if scene.done_at is not None and arrived > scene.done_at:
        verdict.faults.append(f"{arrived - scene.done_at} mails arrived after it was done")


async def _settled_counters(scene: Scene, expected: dict[str, int]) -> dict[str, int]:
    """The counters, as soon as they are right or it is too late for them (they may be cached for 5 s)."""
    end = time.monotonic() + _COUNTERS_SECONDS
    async with Client(scene.victim.url, scene.victim.admin_key) as client:
        while True:
            found = await counters(client, scene.campaign_id)
            right = all(
                value == expected[n.removeprefix("prometheus ")] for n, value in found.items()
            )
            if right or time.monotonic() > end:
                return found
            await asyncio.sleep(0.25)


def _plain_ids(entry: dict[str, Any]) -> dict[str, Any]:
    ids: dict[str, Any] = {n: plain(entry[n]) for n in ("id", "delivery") if n in entry}
    return {**entry, **ids}

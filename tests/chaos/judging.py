"""Everything that a run left behind, compared: the databases after an ordinary stop."""

import asyncio
import signal
import time
from typing import Any

from tests.chaos.book import entries
from tests.chaos.checker import Evidence, examine, expected_counters
from tests.chaos.client import Client
from tests.chaos.counters import counters
from tests.chaos.stage import Stage
from tests.chaos.stores import plain

_COUNTERS_SECONDS = 12.0
_UNSTORED = "an engagement was not stored"


def evidence_of(stage: Stage) -> Evidence:
    """What people, sink and databases say."""
    stores = stage.stores
    return Evidence(
        acknowledged=[_plain_ids(entry) for entry in entries(stage.book.path)],
        sink=[(plain(mail.delivery), mail.recipient, mail.kind) for mail in stage.postbox.mails],
        leads=stores.leads(),
        handled=stores.handled_leads(),
        profiles=stores.profiles(),
        contacts=stores.contacts(),
        ledger=stores.ledger(),
        suppressed=stores.suppressed(),
        recipients=stage.recipients,
        unstored=stage.victim.logs().count(_UNSTORED),
    )


async def judge(stage: Stage) -> None:
    """Compare everything; what is wrong goes into the verdict. The system is stopped for it."""
    verdict, stores = stage.verdict, stage.stores
    stage.postbox.fetch()
    evidence = evidence_of(stage)
    if stage.campaign_id:
        evidence.counters = await _settled_counters(stage, expected_counters(evidence))
    status = await stage.victim.end()
    found = examine(evidence)
    verdict.lost += found.lost
    verdict.profiles_doubled += found.profiles_doubled
    verdict.messages_doubled += found.messages_doubled
    verdict.unknown += found.unknown
    verdict.counters_off += found.counters_off
    verdict.faults += found.faults
    if status not in (0, -signal.SIGTERM):
        verdict.faults.append(f"it ended with {status} when it was asked to stop")
    if damaged := stores.damaged():
        verdict.faults.append(f"files that are damaged: {', '.join(damaged)}")
    arrived = sum(mail.kind == "campaign" for mail in stage.postbox.mails)
    if stage.done_at is not None and arrived > stage.done_at:
        verdict.faults.append(f"{arrived - stage.done_at} mails arrived after it was done")


async def _settled_counters(stage: Stage, expected: dict[str, int]) -> dict[str, int]:
    """The counters, as soon as they are right or it is too late for them (they may be cached for 5 s)."""
    end = time.monotonic() + _COUNTERS_SECONDS
    async with Client(stage.victim.url, stage.victim.admin_key) as client:
        while True:
            found = await counters(client, stage.campaign_id, stage.victim.metrics_urls)
            right = all(
                value == expected[n.removeprefix("prometheus ")] for n, value in found.items()
            )
            if right or time.monotonic() > end:
                return found
            await asyncio.sleep(0.25)


def _plain_ids(entry: dict[str, Any]) -> dict[str, Any]:
    ids: dict[str, Any] = {n: plain(entry[n]) for n in ("id", "delivery") if n in entry}
    return {**entry, **ids}

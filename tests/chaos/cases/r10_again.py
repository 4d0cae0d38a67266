"""R10: the whole log is handled again, and what is derived is made anew: nothing changes, nothing is sent."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from services.shared.events import encode, tombstone
from services.shared.events.profiles import ProfileErased
from services.shared.ids import derived
from tests.chaos.case import Case, Form, Trial
from tests.chaos.counters import series
from tests.chaos.crash import enough_recipients, until_done
from tests.chaos.judging import judge
from tests.chaos.logfile import append
from tests.chaos.saboteurs_runner import REPEATS
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.stores import plain
from tests.chaos.verdict import Verdict

_HANDLED = "baitwell_events_handled_total"
_COMMAND_OK = 0

_KEPT: dict[str, tuple[str, ...]] = {
    "capture": ("SELECT id, contact_key, verified_at, opened_at, revoked_at FROM leads",),
    "profile": (
        "SELECT id, revision, language, lead_count FROM profiles",
        "SELECT contact_key, profile_id, verified_at FROM contacts",
        "SELECT * FROM consents",
        "SELECT profile_id, event_id, kind FROM timeline",
    ),
    "push": (
        "SELECT id, cause_id, contact_key, state, reason FROM deliveries",
        "SELECT contact_key, reason, at FROM suppressions",
        "SELECT * FROM reach_contacts",
        "SELECT id, language, alias_of, erased_at FROM reach_profiles",
    ),
    "metrics": (
        "SELECT * FROM totals WHERE number <> 0 OR subjects <> 0 OR amount <> 0",
        "SELECT id, stage, subject, contact_key, profile_id FROM raw_events",
        "SELECT subject, stage FROM firsts",
        "SELECT contact_key, profile_id FROM contact_owners",
        "SELECT id, contact_key, profile_id FROM deliveries",
        "SELECT id, contact_key FROM leads",
    ),
}
"""What must be the same afterwards: the ledger, the suppression list, people, counters, and what is derived."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many the campaign goes to, and how many of them are erased afterwards."""

    recipients: int
    erased: int


_SIZES: dict[Form, Size] = {"test": Size(50, 3), "short": Size(800, 20), "full": Size(8000, 100)}

Snapshot = dict[str, list[str]]


async def _run(trial: Trial) -> Verdict:
    size = _SIZES[trial.form]

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await _story(stage, size)
        await judge(stage)
        _erase(stage, size.erased)
        before, _ = await _settled(stage)
        await _again(stage, before, "the log handled again", [("positions", "reset")])
        await _again(
            stage, before, "what is derived made anew", [("rebuild",), ("rebuild", "reach")]
        )

    return await play("R10", trial, act, lanes=10)


async def _story(stage: Stage, size: Size) -> None:
    """People come, some leave; a campaign goes to them, and they react to it."""
    await stage.client.call("POST", "/v1/baits", BAIT)
    await enough_recipients(stage, size.recipients)
    await stage.crowd.leave_by_phone(max(2, size.recipients // 50))
    await quiet(stage)
    stage.recipients = stage.crowd.recipients
    stage.verdict.recipients = len(stage.recipients)
    await campaign(stage)
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    await until_done(stage)
    stage.postbox.fetch()
    await asyncio.sleep(0.2)  # the last mails are being read
    await quiet(stage)


def _erase(stage: Stage, count: int) -> None:
    """Some people are erased, as profile will say it: the log is not in use."""
    contacts = stage.stores.contacts()
    for address in sorted(stage.recipients)[:count]:
        key, profile, _ = contacts[address]
        event = ProfileErased(profile_id=UUID(profile), contact_keys=(key,))
        said = encode(
            event,
            event_id=derived("profile.erased", UUID(profile)),
            key=str(event.profile_id),
            occurred_at=datetime.now(UTC),
            source="profile",
        )
        append(stage.embedded.data, said)
        append(stage.embedded.data, tombstone("profiles", str(event.profile_id)))


async def _again(
    stage: Stage, before: Snapshot, what: str, commands: list[tuple[str, ...]]
) -> None:
    """Stop, run the commands, start: everything has to be as it was."""
    sent = stage.sink.count
    for words in commands:
        code, said = await stage.embedded.command(*words)
        if code != _COMMAND_OK:
            stage.verdict.faults.append(f"{' '.join(words)} ended with {code}: {said}")
    after, handled = await _settled(stage)
    stage.verdict.handled += handled
    if not handled:
        stage.verdict.faults.append(f"{what}: no record was handled")
    if stage.sink.count > sent:
        stage.verdict.messages_doubled += stage.sink.count - sent
        stage.verdict.faults.append(f"{what}: {stage.sink.count - sent} more mails were sent")
    for name, rows in before.items():
        if differing := set(rows).symmetric_difference(after[name]):
            words_ = f"{what}: {len(differing)} rows differ: {name}: {min(differing)[:200]}"
            stage.verdict.faults.append(words_)


async def _settled(stage: Stage) -> tuple[Snapshot, int]:
    """Start, wait until it is quiet, look at everything, and stop; also how many records were handled."""
    await stage.victim.begin()
    await quiet(stage)
    handled = await series(stage.victim.metrics_urls, _HANDLED)
    found = {
        query: sorted(str(_row(row)) for row in stage.stores.rows(service, query))
        for service, queries in _KEPT.items()
        for query in queries
    }
    await stage.victim.end()
    return found, handled


def _row(row: tuple[Any, ...]) -> list[Any]:
    return [plain(value) if isinstance(value, str) else value for value in row]


CASE = Case(
    "R10",
    "the whole log handled again, and what is derived made anew",
    _run,
    saboteurs=tuple(REPEATS),
)

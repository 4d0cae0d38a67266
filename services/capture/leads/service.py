"""Where the four ways in end: a submission becomes a durable lead, with what it causes."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from prometheus_client import Counter
from sqlmodel import Session

from services.capture.baits.live import BaitShelf, LiveBait, LiveForm
from services.capture.baits.service import Delivery
from services.capture.leads import repository
from services.capture.leads.checking import Checked, check
from services.capture.leads.gate import OutboxGate
from services.capture.leads.letters import Letters
from services.capture.leads.submission import Accepted, Once, Submission
from services.capture.settings import CaptureSettings
from services.shared import outbox
from services.shared.errors import FieldError, Gone, InProgress, Invalid, NotFound, Problem
from services.shared.events import Message
from services.shared.ground import Ground
from services.shared.group_commit import GroupCommit

_WAIT_FOR_TWIN = 2.0


class KeyReused(Invalid):
    """An Idempotency-Key came with another body."""

    code = "idempotency-key-reused"
    titles = ("同一个 Idempotency-Key 用于不同内容", "This Idempotency-Key belongs to another body")


class Prepared(NamedTuple):
    """A lead ready to be written."""

    row: repository.NewLead
    messages: list[Message]
    once: Once | None
    accepted: Accepted


@dataclass(slots=True)
class _Running:
    """A submission under way: its twins wait for its answer."""

    body_hash: str
    done: asyncio.Event
    answer: Accepted | Problem | None = None


class LeadDesk:
    """Takes submissions."""

    def __init__(self, ground: Ground[CaptureSettings], shelf: BaitShelf, gate: OutboxGate) -> None:
        self._ground = ground
        self._shelf = shelf
        self._gate = gate
        self._delivery = Delivery(ground.settings)
        self._link_span = ground.settings.link_span
        self._letters = Letters(ground, self._delivery)
        self._commit: GroupCommit[Prepared, Accepted] = GroupCommit(
            ground.database, ground.clock, self._write
        )
        self._running: dict[str, _Running] = {}
        accepted = Counter(
            "baitwell_leads_accepted_total",
            "Leads that are durable, by the way they came.",
            ("way",),
            registry=ground.registry,
        )
        self._accepted = {way: accepted.labels(way) for way in ("page", "form", "script", "api")}

    async def accept(self, bait: LiveBait, submission: Submission) -> Accepted:
        """Make a lead; durable when this returns. The same answer whether the person is known or not.

        Raises `Invalid` with every field that is wrong, `BaitOver` or `BaitNotOpen`, `KeyReused`,
        `InProgress` when a twin takes over 2 s, `Unavailable` when nothing was taken.
        """
        self._gate.check()
        once = submission.once
        if once is None:
            return await self._take(bait, submission)
        twin = self._running.get(once.key)
        if twin is not None:
            return await self._answer_of(twin, once)
        running = self._running[once.key] = _Running(once.body_hash, asyncio.Event())
        try:
            running.answer = await self._take_once(bait, submission, once)
        except Problem as problem:
            running.answer = problem
            raise
        finally:
            del self._running[once.key]
            running.done.set()
        return running.answer

    async def _take(self, bait: LiveBait, submission: Submission) -> Accepted:
        bait.require_open(self._ground.clock.now())
        form = bait.form
        if submission.form_version not in (None, form.version):
            form = await self._shelf.form(bait, submission.form_version)
        return await self._submit(self._prepare(bait, form, submission), submission)

    async def _take_once(self, bait: LiveBait, submission: Submission, once: Once) -> Accepted:
        try:
            return await self._take(bait, submission)
        except (Invalid, NotFound, Gone):
            # the bait may have changed or ended since the request came for the first time
            kept = await self._ground.database.read(lambda s: repository.kept(s, once.key))
            if kept is None:
                raise
        return _given_before(kept, once)

    async def _submit(self, prepared: Prepared, submission: Submission) -> Accepted:
        answer = await self._commit.submit(prepared)
        self._accepted[submission.way].inc()
        return answer

    async def _answer_of(self, twin: _Running, once: Once) -> Accepted:
        if twin.body_hash != once.body_hash:
            raise KeyReused(fields=(FieldError("Idempotency-Key", "invalid"),))
        clock = self._ground.clock
        end = clock.monotonic() + _WAIT_FOR_TWIN
        # a loop's timer may ring a millisecond early
        while not twin.done.is_set() and (left := end - clock.monotonic()) > 0:
            await clock.wait(twin.done, left)
        if twin.answer is None:
            raise InProgress(retry_after=1)
        if isinstance(twin.answer, Problem):
            raise twin.answer
        return twin.answer

    def _prepare(self, bait: LiveBait, form: LiveForm, submission: Submission) -> Prepared:
        checked: Checked = check(form, submission)
        lead_id = self._ground.ids.new()
        now = self._ground.clock.now()
        letter = self._letters.write(bait, form, submission, checked, lead_id, now)
        row = repository.NewLead(
            lead_id,
            bait.id,
            form.version,
            letter.contact["channel"],
            letter.contact["contact_key"],
            now,
            now + self._link_span,
            letter.document,
        )
        return Prepared(row, letter.messages, submission.once, accepted(lead_id, letter.lead))

    def _write(self, session: Session, items: Sequence[Prepared]) -> list[Accepted | Problem]:
        now = self._ground.clock.now()
        asked = [
            {
                "key": item.once.key,
                "body_hash": item.once.body_hash,
                "answer": item.accepted.text,
                "at": now,
            }
            for item in items
            if item.once is not None
        ]
        kept = repository.claim(session, asked) if asked else {}
        fresh = [item for item in items if item.once is None or item.once.key not in kept]
        if fresh:
            repository.add(session, [item.row for item in fresh])
            messages = [message for item in fresh for message in item.messages]
            outbox.put(session, messages, now)
            self._gate.wrote(len(messages))
        if not kept:
            return [item.accepted for item in items]
        return [_kept_answer(item, kept) for item in items]


def accepted(lead_id: UUID, lead: str) -> Accepted:
    """The answer for a new lead; its id also as text."""
    state = "accepted"
    return Accepted(lead_id, state, f'{{"lead_id":"{lead}","state":"{state}"}}')


def _kept_answer(item: Prepared, kept: dict[str, repository.Kept]) -> Accepted | Problem:
    if item.once is None or item.once.key not in kept:
        return item.accepted
    try:
        return _given_before(kept[item.once.key], item.once)
    except KeyReused as problem:
        return problem


def _given_before(kept: repository.Kept, once: Once) -> Accepted:
    if kept.body_hash != once.body_hash:
        raise KeyReused(fields=(FieldError("Idempotency-Key", "invalid"),))
    document = json.loads(kept.answer)
    return Accepted(UUID(document["lead_id"]), document["state"], kept.answer)

"""The ledger's rules, as functions of a session: a claim, a turn, and what keeps the ledger tidy.

Nothing here waits, and nothing but the database is changed, so that every unit of work may run again,
and a simulation can stop the world between any two of them.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from services.push.channels.base import OutcomeClass, Result
from services.push.deliveries import announcing, halts, repository
from services.push.deliveries import marketing as waiting_marketing
from services.push.deliveries.announcing import Said
from services.push.deliveries.halts import Halt, Halted, PauseCampaign
from services.push.deliveries.material import ContentSource, Material, MaterialKey
from services.push.deliveries.repository import Change, Claimed, Step, Wanted
from services.push.deliveries.states import Chance, Retry, Settled, State, settle
from services.push.policy.asks import Decision, Recipient
from services.push.policy.service import Policy
from services.push.reach import suppressing
from services.shared import outbox
from services.shared.clock import Clock
from services.shared.database.lease import database_now
from services.shared.ids import Ids

_NO_CONTENT = timedelta(minutes=10)
PRIORITIES = range(1, 10)

Answer = tuple[Claimed, Result]


CampaignNames = Callable[[Session, Collection[UUID]], Mapping[UUID, str]]
"""The names of campaigns, for what is said of their deliveries."""


@dataclass(frozen=True)
class Rules:
    """What the ledger works by. Leases are by the database's clock."""

    policy: Policy
    contents: ContentSource
    pause_campaign: PauseCampaign
    campaign_names: CampaignNames
    chance: Chance
    retry: Retry = field(default_factory=Retry)
    lease: timedelta = timedelta(seconds=30)


@dataclass(slots=True)
class Claim:
    """What a claim took, and the materials that were not known yet."""

    rows: list[Claimed] = field(default_factory=list)
    materials: dict[MaterialKey, Material] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """What one transaction of the ledger's writer did.

    `sending` are marked: to be submitted, in this order. `late` results were not ours any more.
    """

    sending: list[tuple[Claimed, Recipient]] = field(default_factory=list)
    changed: list[tuple[str, str | None]] = field(default_factory=list)
    late: int = 0


def material_key(row: Claimed) -> MaterialKey:
    """What a delivery says."""
    return MaterialKey(row.template_version_id or row.built_in or "", row.language)


class Ledger:
    """Works on the ledger for one dispatcher."""

    def __init__(self, rules: Rules, clock: Clock, ids: Ids) -> None:
        self._rules = rules
        self._clock = clock
        self._ids = ids

    def claim(
        self,
        session: Session,
        channel: str,
        most: int,
        known: Collection[MaterialKey],
        *,
        marketing: bool,
    ) -> Claim:
        """Take up to `most` due messages, the urgent ones first, and load what they say."""
        now = self._clock.now()
        _, lease_until = self._times(session)
        token = self._ids.new()
        claim = Claim()
        marketing = marketing and waiting_marketing.waits(session, channel)
        kinds = [(False, 0), *((True, number) for number in PRIORITIES if marketing)]
        for is_marketing, priority in kinds:
            left = most - len(claim.rows)
            if left > 0:
                wanted = Wanted(channel, is_marketing, priority, left)
                claim.rows += repository.claim(session, wanted, token, now, lease_until)
        self._load(session, claim, known)
        return claim

    def turn(
        self, session: Session, answers: Sequence[Answer], candidates: Sequence[Claimed]
    ) -> Turn:
        """Write results, then mark what may go out next: one transaction.

        `candidates` in the order of their profiles, so that writers wait for each other in one direction.
        """
        turn = Turn()
        now = self._clock.now()
        if answers:
            self._record(session, answers, turn, now)
        if candidates:
            self._mark(session, candidates, turn, now)
        return turn

    def unmark(self, session: Session, rows: Sequence[Claimed]) -> int:
        """Take back marks of messages that were never submitted; how many are claimed by us again."""
        _, lease_until = self._times(session)
        ours = repository.unmark(session, rows, self._clock.now(), lease_until)
        self._rules.policy.free(session, [row for row in rows if (row.id, row.token) in ours])
        return len(ours)

    def release(self, session: Session, rows: Sequence[Claimed]) -> None:
        """Give claimed rows back."""
        repository.release(session, rows, self._clock.now())

    def renew(self, session: Session, rows: Sequence[Claimed]) -> None:
        """Keep what is ours for another lease."""
        _, lease_until = self._times(session)
        repository.renew(session, rows, lease_until)

    def reap(self, session: Session, most: int = 500) -> Turn:
        """Look for leases that are over: claimed → planned, sending → unknown."""
        turn = Turn()
        lease_now, _ = self._times(session)
        now = self._clock.now()
        claimed, sending = repository.expired(session, lease_now, most)
        repository.release(session, claimed, now)
        unknown = [
            (row, Settled(State.UNKNOWN, "lease_expired", None, row.attempt + 1)) for row in sending
        ]
        changes = [_change(row, settled, None) for row, settled in unknown]
        ours = repository.refuse(session, changes, now)
        said = [_said(row, s, None) for row, s in unknown if row.id in ours]
        self._say(session, said, turn, now)
        return turn

    def sweep(
        self, session: Session, after: Mapping[Halted, UUID], most: int = 500
    ) -> dict[Halted, UUID]:
        """Move some rows of each halted campaign; where to go on next time (halt → last id)."""
        places: dict[Halted, UUID] = {}
        now = self._clock.now()
        for halted in halts.halts(session).values():
            last = after.get(halted)
            rows = repository.of_campaign(session, halted.campaign_id, last, most)
            self._shift(session, rows, halted.state, Turn(), now)
            if rows:
                last = rows[-1][0].id
            if last is not None:
                places[halted] = last
            if len(rows) == most:
                continue
            if halted.state == "resuming":
                halts.forget(session, halted)
            elif halted.state == "cancelled" and repository.has_open(session, halted.campaign_id):
                # what a dispatcher had in its hands comes back behind us
                places.pop(halted, None)
        return places

    def _times(self, session: Session) -> tuple[datetime, datetime]:
        now = database_now(session, self._clock)
        return now, now + self._rules.lease

    def _load(self, session: Session, claim: Claim, known: Collection[MaterialKey]) -> None:
        needed = {material_key(row) for row in claim.rows}
        claim.materials = dict(self._rules.contents.load(session, needed.difference(known)))
        missing = needed.difference(known).difference(claim.materials)
        if not missing:
            return
        now = self._clock.now()
        stuck = [row for row in claim.rows if material_key(row) in missing]
        claim.rows = [row for row in claim.rows if material_key(row) not in missing]
        settled = Settled(State.HELD, "content_missing", now + _NO_CONTENT, 0)
        self._refuse(session, [(row, settled) for row in stuck], Turn(), now)

    def _record(
        self, session: Session, answers: Sequence[Answer], turn: Turn, now: datetime
    ) -> None:
        rules = self._rules
        settled = {
            row.id: settle(result, row.attempt, now, rules.retry, rules.chance)
            for row, result in answers
        }
        changes = [_change(row, settled[row.id], result) for row, result in answers]
        ours = repository.answer(session, changes, now)
        turn.late += len(answers) - len(ours)
        mine = [(row, result) for row, result in answers if row.id in ours]
        unsent = [row for row, _ in mine if settled[row.id].state not in _KEEPS_PLACE]
        rules.policy.free(session, unsent)
        suppressing.learn(session, [(row.contact_key, result.outcome) for row, result in mine], now)
        for campaign_id, code in _troubles(mine).items():
            halts.pause(session, campaign_id, "configuration", now)
            rules.pause_campaign(session, campaign_id, code, now)
        repository.add_trace(
            session,
            [
                _line(row, settled[row.id], result)
                for row, result in mine
                if settled[row.id].state is not State.SENT
            ],
            now,
        )
        self._say(session, [_said(row, settled[row.id], result) for row, result in mine], turn, now)

    def _mark(
        self, session: Session, candidates: Sequence[Claimed], turn: Turn, now: datetime
    ) -> None:
        _, lease_until = self._times(session)
        ours = repository.mark(session, candidates, now, lease_until)
        rows = [row for row in candidates if (row.id, row.token) in ours]
        if not rows:
            return
        halted = halts.halts(session, locked=True)
        stopped: dict[UUID, Settled] = {}
        for row in rows:
            before = _before_policy(row, halted, now)
            if before is not None:
                stopped[row.id] = before
        asked = [row for row in rows if row.id not in stopped]
        decisions = self._rules.policy.decide(session, asked, now) if asked else {}
        for row in asked:
            decision = decisions[row.id]
            if decision.recipient is not None:
                turn.sending.append((row, decision.recipient))
            else:
                stopped[row.id] = _refused(row, decision)
        self._refuse(
            session, [(row, stopped[row.id]) for row in rows if row.id in stopped], turn, now
        )

    def _refuse(
        self,
        session: Session,
        refused: Sequence[tuple[Claimed, Settled]],
        turn: Turn,
        now: datetime,
    ) -> None:
        if not refused:
            return
        changes = [_change(row, settled, None) for row, settled in refused]
        ours = repository.refuse(session, changes, now)
        mine = [(row, settled) for row, settled in refused if row.id in ours]
        repository.add_trace(session, [_line(row, settled, None) for row, settled in mine], now)
        self._say(session, [_said(row, settled, None) for row, settled in mine], turn, now)

    def _shift(
        self,
        session: Session,
        rows: Sequence[tuple[Claimed, str]],
        halt: Halt,
        turn: Turn,
        now: datetime,
    ) -> None:
        waiting = [row for row, state in rows if state in {State.PLANNED, State.HELD}]
        if halt == "resuming":
            waiting = [row for row in waiting if row.reason == _PAUSED]
        else:
            waiting = [row for row in waiting if row.reason != _PAUSED or halt == "cancelled"]
        target = _TARGETS[halt]
        until = now if halt == "resuming" else None
        moved = repository.shift(
            session, [(row.id, target.state, target.reason, until) for row in waiting], now
        )
        mine = [(row, target) for row in waiting if row.id in moved]
        lines = [_line(row, settled, None) for row, settled in mine]
        repository.add_trace(session, lines, now)
        self._say(session, [_said(row, settled, None) for row, settled in mine], turn, now)

    def _say(self, session: Session, said: Sequence[Said], turn: Turn, now: datetime) -> None:
        if not said:
            return
        campaigns = {row.campaign_id for row, *_ in said if row.campaign_id is not None}
        names = self._rules.campaign_names(session, campaigns) if campaigns else {}
        outbox.put(session, announcing.outcomes(said, names, now), now)
        turn.changed += [(state, reason) for _, state, reason, _, _ in said]


_PAUSED = "campaign_paused"
_KEEPS_PLACE = frozenset({State.SENT, State.UNKNOWN})
_TARGETS: dict[Halt, Settled] = {
    "paused": Settled(State.HELD, _PAUSED, None, 0),
    "cancelled": Settled(State.DROPPED, "campaign_cancelled", None, 0),
    "resuming": Settled(State.PLANNED, "campaign_resumed", None, 0),
}


def _before_policy(row: Claimed, halted: Mapping[UUID, Halted], now: datetime) -> Settled | None:
    """What stops a message before the policy is asked: its campaign's halt, its own end."""
    halt = halted.get(row.campaign_id) if row.campaign_id is not None else None
    if halt is not None and halt.state != "resuming":
        target = _TARGETS[halt.state]
        return Settled(target.state, target.reason, None, row.attempt)
    if row.expires_at is not None and row.expires_at <= now:
        return Settled(State.DROPPED, row.reason or "expired", None, row.attempt)
    return None


def _refused(row: Claimed, decision: Decision) -> Settled:
    if decision.verdict == "drop":
        return Settled(State.DROPPED, decision.reason, None, row.attempt)
    until = decision.until
    if until is not None and row.expires_at is not None:
        until = min(until, row.expires_at)
    return Settled(State.HELD, decision.reason, until, row.attempt)


def _troubles(answers: Sequence[Answer]) -> dict[UUID, str]:
    """The campaigns that our own configuration stops, and the provider's code."""
    return {
        row.campaign_id: result.code
        for row, result in answers
        if result.outcome is OutcomeClass.PERMANENT_CONFIG and row.campaign_id is not None
    }


def _change(row: Claimed, settled: Settled, result: Result | None) -> Change:
    return Change(
        row.id,
        row.token,
        settled.state.value,
        settled.reason,
        result.code[:64] if result else None,
        result.provider_id[:320] if result and result.provider_id else None,
        settled.not_before,
        settled.attempt,
    )


def _line(row: Claimed, settled: Settled, result: Result | None) -> Step:
    return Step(
        row.id,
        settled.state.value,
        settled.reason,
        result.code[:64] if result else None,
        result.detail[:200] if result and result.detail else None,
        settled.attempt,
        settled.not_before,
    )


def _said(row: Claimed, settled: Settled, result: Result | None) -> Said:
    code = result.code[:64] if result else None
    return row, settled.state.value, settled.reason, code, settled.attempt

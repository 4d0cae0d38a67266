"""The policy: for each message the first question that says no is the reason.

In this order: erased, suppression, consent, quiet hours, priority, limits against mail bombing, cap. The
first three drop, the others hold. A message that is no marketing is asked erased, suppression and the
limits. Runs inside the transaction that marks messages `sending`; whoever calls holds their rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from services.push.policy import caps, limits, repository, rivals
from services.push.policy.asks import Ask, Decision, Recipient, drop, hold
from services.push.policy.quiet import quiet_until, zone_of
from services.push.policy.repository import Known

_OUTRANKED = timedelta(minutes=10)
_UNLIMITED = frozenset({"test", "notice"})


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operator can set. A cap of 0 is none; equal ends of the quiet hours are none, too."""

    zone: ZoneInfo
    quiet_start: time = time(21, 0)
    quiet_end: time = time(8, 0)
    cap_day: int = 2
    cap_week: int = 4

    def __str__(self) -> str:
        quiet = f"{self.quiet_start:%H:%M:%S.%f}-{self.quiet_end:%H:%M:%S.%f}"
        return f"quiet {quiet} {self.zone.key}, most {self.cap_day} a day, {self.cap_week} a week"


class Policy:
    """Decides for a batch of messages."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    @property
    def rules(self) -> Rules:
        """What an operator has set."""
        return self._rules

    def decide(self, session: Session, asks: Sequence[Ask], now: datetime) -> dict[UUID, Decision]:
        """The decision for each ask, by delivery id. What it allows is reserved."""
        known = repository.people(session, asks)
        listed = [ask for ask in asks if known[ask.id].suppressed]
        suppressed = repository.suppressions(session, listed)
        answers: dict[UUID, Decision] = {}
        quiet: dict[str | None, datetime | None] = {}
        for ask in asks:
            person = known[ask.id]
            refusal = _never(ask, person, suppressed.get(ask.contact_key, {}))
            if refusal is None and ask.marketing:
                until = self._quiet(person.zone, now, quiet)
                refusal = hold("quiet_hours", until) if until else None
            if refusal is not None:
                answers[ask.id] = refusal
        left = [ask for ask in asks if ask.id not in answers]
        answers |= self._outranked(session, left, now)
        left = [ask for ask in left if ask.id not in answers]
        limited = [ask for ask in left if _is_limited(ask, known[ask.id])]
        if limited:
            answers |= limits.reserve(session, limited, known, now)
            left = [ask for ask in left if ask.id not in answers]
        refused = self._over_cap(session, left, known, now)
        unlucky = [ask for ask in limited if ask.id in refused]
        if unlucky:
            repository.free(session, unlucky)
        answers |= refused
        for ask in left:
            if ask.id not in answers:
                answers[ask.id] = Decision("send", recipient=_recipient(ask, known[ask.id]))
        return answers

    def free(self, session: Session, asks: Sequence[Ask]) -> None:
        """Give back what was reserved for messages of which nothing was sent."""
        if asks:
            repository.free(session, asks)

    def outdated(self, session: Session, now: datetime) -> repository.Outdated | None:
        """Some reservations that no window reaches any more; None: there are none."""
        today = now.astimezone(self._rules.zone).date()
        found = repository.outdated(session, today - timedelta(days=14), now - limits.LONG)
        return found if found.slots or found.mails else None

    def forget(self, session: Session, outdated: repository.Outdated) -> None:
        """Forget these reservations."""
        repository.forget(session, outdated)

    def _quiet(
        self, name: str | None, now: datetime, seen: dict[str | None, datetime | None]
    ) -> datetime | None:
        if name not in seen:
            rules = self._rules
            zone = zone_of(name, rules.zone)
            seen[name] = quiet_until(now, zone, rules.quiet_start, rules.quiet_end)
        return seen[name]

    def _outranked(
        self, session: Session, asks: Sequence[Ask], now: datetime
    ) -> dict[UUID, Decision]:
        ranked = [ask for ask in asks if ask.marketing]
        if not ranked:
            return {}
        tomorrow = now.astimezone(self._rules.zone).date() + timedelta(days=1)
        day_end = datetime.combine(tomorrow, time(), tzinfo=self._rules.zone).astimezone(UTC)
        behind = rivals.outranked(session, ranked, day_end)
        if not behind:
            return {}
        return {
            ask.id: hold("priority", now + _OUTRANKED)
            for ask in ranked
            if (ask.profile_id, ask.priority) in behind
        }

    def _over_cap(
        self, session: Session, asks: Sequence[Ask], known: dict[UUID, Known], now: datetime
    ) -> dict[UUID, Decision]:
        rules = self._rules
        people = {
            ask.id: owner
            for ask in asks
            if ask.marketing
            and ask.capped
            and (owner := known[ask.id].profile_id or ask.profile_id) is not None
        }
        if not people or not (rules.cap_day or rules.cap_week):
            return {}
        return caps.reserve(
            session, people, now, caps.Caps(rules.zone, rules.cap_day, rules.cap_week)
        )


def _never(ask: Ask, person: Known, suppressed: dict[str, datetime]) -> Decision | None:
    """Erased, suppression, consent: what no time makes good."""
    erased = suppressed.get("erased")
    if person.erased or (erased is not None and ask.created_at <= erased):
        return drop("erased")
    for reason in suppressed:
        if reason != "erased" and (ask.marketing or reason != "unsubscribed"):
            return drop(reason)
    if ask.address is None and person.address is None:
        return drop("contact_gone")
    if not ask.marketing:
        return None
    if not person.marketing:
        return drop("no_consent")
    if not (person.verified or person.recorded):
        return drop("not_verified")
    return None


def _is_limited(ask: Ask, person: Known) -> bool:
    if ask.cause_kind in _UNLIMITED:
        return False
    return ask.cause_kind == "lead" or not (ask.verified or person.verified)


def _recipient(ask: Ask, person: Known) -> Recipient:
    # what the profile says now goes before what a request said then
    address = person.address if ask.address is None else ask.address
    assert address is not None
    return Recipient(address, person.fields or {})

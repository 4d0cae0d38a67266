"""Takes reports of shops and call centres: checked, durable, then settled."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal
from uuid import UUID

from sqlmodel import Session

from services.metrics.engagements import repository
from services.metrics.engagements.currencies import CURRENCIES
from services.metrics.engagements.events import CONVERTED, INQUIRED, encode_at
from services.metrics.engagements.models import KeptAnswer
from services.metrics.engagements.schemas import Receipt, Report, Taken
from services.metrics.engagements.settling import refund_of
from services.metrics.funnel import repository as funnel
from services.metrics.settings import MetricsSettings
from services.metrics.subjects import repository as subjects
from services.metrics.tracking.service import Leaving, Tracker
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.repository import Waiter
from services.shared import outbox
from services.shared.contact import BadAddress, parse_contact
from services.shared.errors import FieldError, Invalid
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.ground import Ground
from services.shared.http.internal import ServiceUnreachable
from services.shared.ids import derived
from services.shared.tokens import BadToken

_AHEAD = timedelta(minutes=5)
_OLDEST = datetime(2000, 1, 1, tzinfo=UTC)
_ASK_SECONDS = 2.0
_ASK_AT_ONCE = 8


@dataclass(slots=True)
class Named:
    """A checked report: its id, and whom it names."""

    id: UUID
    report: Report
    at: datetime
    delivery_id: UUID | None = None
    contact_key: str | None = None
    profile_id: UUID | None = None
    contact_keys: tuple[str, ...] = field(default=())
    """All keys of the person, as profile answered."""


@dataclass(frozen=True, slots=True)
class Retry:
    """What tells a repeated request from a new one."""

    caller: UUID
    key: str
    body: bytes


class ReportDesk:
    """The desk at which engagements are reported."""

    def __init__(self, ground: Ground[MetricsSettings], tracker: Tracker) -> None:
        self._ground = ground
        self._tracker = tracker
        self._delay = timedelta(seconds=ground.settings.click_window_seconds + 0.3)

    async def take(self, reports: Sequence[Report], single: bool, retry: Retry | None) -> Receipt:
        """Make reports durable, all or none. Raises `Invalid` and `Unavailable`."""
        now = self._ground.clock.now()
        named = self._check(reports, single, now)
        if retry is not None:
            known = await self._ground.database.read(partial(_kept_answer, retry=retry))
            if known is not None:
                return known
        await self._match(named)
        receipt, leaving = await self._ground.database.transaction(
            lambda session: self._write(session, named, retry, now)
        )
        await asyncio.gather(*(self._tracker.ask_push(one) for one in leaving))
        return receipt

    def _check(self, reports: Sequence[Report], single: bool, now: datetime) -> list[Named]:
        wrong: list[FieldError] = []
        named = []
        for number, report in enumerate(reports):
            prefix = "" if single else f"{number}."
            errors = _mistakes(report, now)
            one = Named(self._id_of(report), report, report.at or now, profile_id=report.profile_id)
            errors += self._name(one)
            wrong += [FieldError(prefix + name, reason) for name, reason in errors]
            named.append(one)
        if wrong:
            raise Invalid(fields=tuple(wrong[:50]))
        return named

    def _name(self, one: Named) -> list[tuple[str, str]]:
        """Read the token and the contact of a report; what is wrong with them."""
        report = one.report
        if report.bw is not None:
            try:
                one.delivery_id, _ = self._ground.tokens.verify("s", report.bw)
            except BadToken:
                return [("bw", "invalid")]
        if report.contact is not None:
            try:
                contact = parse_contact(
                    report.contact.channel, report.contact.address, account=report.contact.account
                )
            except BadAddress as error:
                return [("contact.address", error.reason)]
            one.contact_key = self._ground.contact_keys.contact_key(contact)
        if not (one.delivery_id or one.contact_key or one.profile_id):
            return [("contact", "required")]
        return []

    def _id_of(self, report: Report) -> UUID:
        if report.order_id is None or report.kind == "unsubscribed":
            return self._ground.ids.new()
        order = derived(f"engagement.{report.kind}", report.source, report.order_id)
        if report.kind == "converted" and report.state == "refunded":
            return refund_of(order)
        return order

    async def _match(self, named: Sequence[Named]) -> None:
        """Ask profile who people are whom we do not know; best effort within a short time."""
        strangers = await self._ground.database.read(partial(_strangers, named=named))
        profile = self._ground.neighbours.get("profile")
        if not strangers or profile is None:
            return
        gate = asyncio.Semaphore(_ASK_AT_ONCE)

        async def ask(one: Named) -> None:
            question: dict[str, Any] = {"profile_id": str(one.profile_id)}
            if one.report.contact is not None:
                contact = one.report.contact
                question = {"channel": contact.channel.value, "address": contact.address}
            async with gate:
                with suppress(ServiceUnreachable):
                    _learn(one, await profile.post("/internal/profiles/match", question))

        with suppress(TimeoutError):
            async with asyncio.timeout(_ASK_SECONDS):
                await asyncio.gather(*(ask(one) for one in strangers))

    def _write(
        self, session: Session, named: Sequence[Named], retry: Retry | None, now: datetime
    ) -> tuple[Receipt, list[Leaving]]:
        if retry is not None:
            known = _kept_answer(session, retry)
            if known is not None:
                return known, []
        ids = [one.id for one in named]
        seen = funnel.known_events(session, ids) | waiting.with_ids(session, ids)
        taken, fresh = [], []
        for one in named:
            state: Literal["accepted", "known"] = "known" if one.id in seen else "accepted"
            taken.append(Taken(engagement_id=one.id, state=state))
            if one.id not in seen:
                seen.add(one.id)
                fresh.append(one)
        receipt = Receipt(items=taken)
        if retry is not None and not _keep(session, retry, receipt, now):
            # the same request was committed by another process between our look and our write
            return _kept_answer(session, retry) or receipt, []
        return receipt, self._add(session, fresh, now)

    def _add(self, session: Session, fresh: Sequence[Named], now: datetime) -> list[Leaving]:
        owners = {
            key: one.profile_id for one in fresh for key in one.contact_keys if one.profile_id
        }
        if owners:
            subjects.put_owners(session, list(owners.items()), now)
        leaving: list[Leaving] = []
        waiters = []
        for one in fresh:
            gone = _leave(session, one, now) if one.report.kind == "unsubscribed" else []
            leaving += gone
            # said without the person, because the delivery is not known yet: once more when it settles
            said = any(one.profile_id or each.contact_key for each in gone)
            waiters.append(self._waiter(one, now, said=said))
        if waiters:
            waiting.add_once(session, waiters)
        return leaving

    def _waiter(self, one: Named, now: datetime, *, said: bool) -> Waiter:
        report = one.report
        kind = f"engagement.{report.kind}"
        document: dict[str, Any] = {"source": report.source}
        if report.order_id is not None:
            document["order_id"] = report.order_id
        if kind == INQUIRED:
            document["subject"] = report.subject
        elif kind == CONVERTED:
            document |= {
                "state": report.state,
                "amount": report.amount,
                "currency": report.currency,
                "paid": str(derived(kind, report.source, report.order_id)),
            }
        else:
            document["way"] = "reported"
        return Waiter(
            one.id,
            kind,
            one.at,
            # a click just before has to be classed first: it may get the credit
            now + self._delay,
            one.delivery_id,
            one.contact_key,
            one.profile_id,
            said=said,
            document=document,
        )


def _mistakes(report: Report, now: datetime) -> list[tuple[str, str]]:
    """What pydantic can't say: fields that need each other."""
    wrong: list[tuple[str, str]] = []
    if report.kind == "converted" and report.order_id is None:
        wrong.append(("order_id", "required"))
    if report.amount is not None and report.currency is None:
        wrong.append(("currency", "required"))
    if report.currency is not None and report.currency not in CURRENCIES:
        wrong.append(("currency", "not_choice"))
    if report.at is not None and not _OLDEST <= report.at <= now + _AHEAD:
        wrong.append(("at", "out_of_range"))
    return wrong


def _strangers(session: Session, named: Sequence[Named]) -> list[Named]:
    """Those whose person we can't tell from what we have; an unsubscribe needs all of the keys."""
    found = []
    for one in named:
        if one.delivery_id is not None:
            continue
        known = one.profile_id is not None and bool(
            subjects.keys_of(session, subjects.group(session, one.profile_id))
        )
        if not known and one.contact_key is not None:
            known = subjects.owner(session, one.contact_key) is not None
        if not known:
            found.append(one)
    return found


def _learn(one: Named, answer: Any) -> None:
    if isinstance(answer, dict) and answer.get("profile_id"):
        one.profile_id = UUID(str(answer["profile_id"]))
        one.contact_keys = tuple(str(key) for key in answer.get("contact_keys") or ())


def _leave(session: Session, one: Named, now: datetime) -> list[Leaving]:
    """Say at once that somebody left: of the contact named, or of all contacts of the profile."""
    delivery = None
    if one.delivery_id is not None:
        delivery = subjects.deliveries(session, [one.delivery_id]).get(one.delivery_id)
    keys: set[str | None] = {one.contact_key or (delivery.contact_key if delivery else None)}
    if keys == {None} and one.profile_id is not None:
        keys = set(one.contact_keys)
        keys |= subjects.keys_of(session, subjects.group(session, one.profile_id))
        keys = keys or {None}
    messages = [
        encode_at(
            EngagementUnsubscribed(
                engagement_id=one.id,
                delivery_id=one.delivery_id,
                profile_id=one.profile_id,
                contact_key=key,
                way="reported",
            ),
            one.at,
            key,
        )
        for key in sorted(keys, key=str)
    ]
    outbox.put(session, messages, now)
    return [Leaving(one.delivery_id, key, one.at) for key in sorted(keys, key=str)]


def _hash(body: bytes) -> str:
    """The hash of a JSON body, the same however it is spaced and ordered."""
    text = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _kept_answer(session: Session, retry: Retry) -> Receipt | None:
    """The answer given before to this key. Raises `Invalid` when the body is another."""
    row = repository.kept(session, retry.caller, retry.key)
    if row is None:
        return None
    if row.body_hash != _hash(retry.body):
        raise Invalid(
            (
                "此 Idempotency-Key 已用于另一个请求。",
                "This Idempotency-Key was used for another request.",
            ),
            fields=(FieldError("Idempotency-Key", "taken"),),
        )
    return Receipt.model_validate(row.answer)


def _keep(session: Session, retry: Retry, receipt: Receipt, now: datetime) -> bool:
    return repository.keep(
        session,
        KeptAnswer(
            caller=retry.caller,
            key=retry.key,
            body_hash=_hash(retry.body),
            answer=receipt.model_dump(mode="json"),
            at=now,
        ),
    )

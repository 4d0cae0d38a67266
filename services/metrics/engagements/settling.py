"""Settling: what waits is classed or credited, counted, and said, as soon as it can be."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from sqlmodel import Session

from services.metrics.engagements.credit import Credit, credit_of
from services.metrics.engagements.events import (
    CLICKED,
    CONVERTED,
    REPORTED,
    TRACKED,
    UNSUBSCRIBED,
    correction_of,
    message_about,
    message_of,
)
from services.metrics.funnel import repository as funnel
from services.metrics.funnel.counting import Counting
from services.metrics.funnel.stages import REFUNDED, UNATTRIBUTED, Raw
from services.metrics.machines.rules import (
    ALL_LINKS,
    EARLY,
    MANY_WITHIN,
    Click,
    all_links,
    is_early,
)
from services.metrics.settings import MetricsSettings
from services.metrics.subjects import repository as subjects
from services.metrics.subjects.repository import DeliveryRow
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.repository import Waiter
from services.shared import outbox
from services.shared.errors import DatabaseUnavailable
from services.shared.events import Message
from services.shared.ground import Ground
from services.shared.ids import derived
from services.shared.traffic import Pace

_TRACKED_BATCH = 1000
_REPORTED_BATCH = 50
_LOOK = 0.2
_AWAY = 1.0
_UNTIL_NUDGED = timedelta(days=3650)


class Settler:
    """Works through what is due."""

    def __init__(self, ground: Ground[MetricsSettings], counting: Counting) -> None:
        self._database = ground.database
        self._clock = ground.clock
        self._counting = counting
        self._early = timedelta(seconds=ground.settings.early_seconds)
        self._pace = Pace(ground.traffic, ground.clock, most=_TRACKED_BATCH)

    async def run(self, stop: asyncio.Event) -> None:
        """Settle until told to stop."""
        while not stop.is_set():
            began = await self._pace.enter()
            try:
                settled = await self.step()
            except DatabaseUnavailable:
                await self._clock.wait(stop, _AWAY)
                continue
            await self._pace.leave(began, settled)
            if not settled:
                await self._clock.wait(stop, _LOOK)

    async def step(self) -> int:
        """Settle one batch of each kind; how many were due."""
        now = self._clock.now()
        tracked = await self._database.transaction(partial(self._settle_tracked, now=now))
        reported = await self._database.transaction(partial(self._settle_reported, now=now))
        return tracked + reported

    def _settle_tracked(self, session: Session, now: datetime) -> int:
        due = waiting.due(session, TRACKED, now, self._pace.limit)
        if not due:
            return 0
        ids = [waiter.delivery_id for waiter in due if waiter.delivery_id]
        known = subjects.deliveries(session, ids, lock=True)
        ready = [waiter for waiter in due if waiter.delivery_id in known]
        waiting.postpone(session, [w for w in due if w.delivery_id not in known], now)
        if ready:
            bunched = self._bunched(session, ready, known, now)
            raws = [
                self._class(waiter, known[waiter.delivery_id], bunched)
                for waiter in ready
                if waiter.delivery_id
            ]
            fresh = self._counting.record(session, raws)
            outbox.put(session, [_said_of(raw, known) for raw in fresh], now)
            waiting.remove(session, [waiter.id for waiter in ready])
        return len(due)

    def _class(self, waiter: Waiter, delivery: DeliveryRow, bunched: set[UUID]) -> Raw:
        reason = waiter.reason
        if not reason and is_early(waiter.at, delivery.sent_at, self._early):
            reason = EARLY
        if not reason and waiter.id in bunched:
            reason = ALL_LINKS
        # who a delivery went to stands with the delivery
        return Raw(
            waiter.id,
            waiter.kind,
            waiter.kind.removeprefix("engagement."),
            waiter.at,
            delivery.id,
            delivery.campaign_id,
            delivery.bait_id,
            delivery.channel,
            machine=bool(reason),
            reason=reason,
            document=waiter.document,
        )

    def _bunched(
        self,
        session: Session,
        ready: Sequence[Waiter],
        known: Mapping[UUID, DeliveryRow],
        now: datetime,
    ) -> set[UUID]:
        """The clicks that came together with their fellows; those already counted are corrected."""
        clicks = [waiter for waiter in ready if waiter.kind == CLICKED and waiter.delivery_id]
        if not clicks:
            return set()
        deliveries = list({waiter.delivery_id for waiter in clicks if waiter.delivery_id})
        since = min(waiter.at for waiter in clicks) - MANY_WITHIN
        counted = {raw.id: raw for raw in funnel.clicks_since(session, deliveries, since)}
        by_message: dict[UUID, set[Click]] = defaultdict(set)
        crowded = waiting.crowded(session, CLICKED, deliveries)
        others = waiting.of_deliveries(session, CLICKED, crowded) if crowded else []
        for waiter in (*clicks, *others):
            if waiter.delivery_id:
                click = Click(waiter.id, waiter.at, waiter.document["link"])
                by_message[waiter.delivery_id].add(click)
        for raw in counted.values():
            if raw.subject and raw.document:
                click = Click(raw.id, raw.occurred_at, raw.document["link"])
                by_message[raw.subject].add(click)
        several = [message for message in by_message.values() if len(message) > 1]
        bunched = {id_ for message in several for id_ in all_links(message)}
        late = [raw for id_, raw in counted.items() if id_ in bunched and not raw.machine]
        if late:
            self._correct(session, sorted(late, key=lambda raw: raw.id), known, now)
        return bunched

    def _correct(
        self,
        session: Session,
        late: Sequence[Raw],
        known: Mapping[UUID, DeliveryRow],
        now: datetime,
    ) -> None:
        """Clicks that were counted and said as a person's are a machine's."""
        pairs = [(raw, raw._replace(machine=True, void=True, reason=ALL_LINKS)) for raw in late]
        self._counting.revise(session, pairs)
        messages = []
        for _, raw in pairs:
            whose = known.get(raw.subject) if raw.subject else None
            if whose is not None:
                messages.append(correction_of(raw, whose.contact_key, whose.profile_id))
        outbox.put(session, messages, now)

    def _settle_reported(self, session: Session, now: datetime) -> int:
        due = waiting.reports_due(session, now, _REPORTED_BATCH)
        for waiter in due:
            self._settle_report(session, waiter, now)
        return len(due)

    def _settle_report(self, session: Session, waiter: Waiter, now: datetime) -> None:
        if waiter.document.get("state") == REFUNDED:
            self._settle_refund(session, waiter, now)
            return
        credit = credit_of(session, waiter)
        if credit is None:
            waiting.postpone(session, [waiter], now)
            return
        raw = _raw_of(waiter, credit)
        if credit.rule == "unmatched":
            raw = raw._replace(stage=UNATTRIBUTED + raw.stage)
            if not waiter.counted:
                self._finish(session, [raw], now, said=waiter.said)
            waiting.keep_counted(session, waiter, now + _UNTIL_NUDGED)
            return
        if waiter.counted:
            self._join(session, raw)
        else:
            self._finish(session, [raw], now, said=waiter.said)
        waiting.remove(session, [waiter.id])
        if raw.kind == CONVERTED:
            waiting.make_due(session, [refund_of(raw.id)], now)

    def _join(self, session: Session, raw: Raw) -> None:
        """The person of an unattributed report appeared: it counts for them, and so does its refund."""
        pairs = []
        for old in funnel.events(session, [raw.id, refund_of(raw.id)]):
            if old.stage.startswith(UNATTRIBUTED):
                new = old._replace(
                    stage=old.stage.removeprefix(UNATTRIBUTED),
                    joined=True,
                    credit=raw.credit,
                    campaign_id=raw.campaign_id,
                    bait_id=raw.bait_id,
                    channel=raw.channel,
                    subject=None if old.stage == UNATTRIBUTED + REFUNDED else raw.subject,
                    document=(old.document or {}) | _delivery_of(raw),
                    contact_key=raw.contact_key,
                    profile_id=raw.profile_id,
                )
                pairs.append((old, new))
        self._counting.revise(session, pairs)

    def _settle_refund(self, session: Session, waiter: Waiter, now: datetime) -> None:
        """Take an order back; it waits as long as the order itself was not reported."""
        paid = next(iter(funnel.events(session, [UUID(waiter.document["paid"])])), None)
        if paid is None:
            waiting.postpone(session, [waiter], now)
            return
        unattributed = paid.stage.startswith(UNATTRIBUTED)
        amount = waiter.document.get("amount")
        refund = paid._replace(
            id=waiter.id,
            stage=UNATTRIBUTED + REFUNDED if unattributed else REFUNDED,
            occurred_at=waiter.at,
            subject=None,
            void=False,
            joined=False,
            amount=paid.amount if amount is None else amount,
            currency=waiter.document.get("currency") or paid.currency,
            document=waiter.document | _delivery_of(paid),
        )
        self._finish(session, [refund], now, said=True)
        outbox.put(session, [message_of(refund)], now)
        if not paid.void:
            self._counting.revise(session, [(paid, paid._replace(void=True))])
        waiting.remove(session, [waiter.id])

    def _finish(
        self, session: Session, raws: Sequence[Raw], now: datetime, *, said: bool = False
    ) -> None:
        """Count, and say what was not said before."""
        fresh = self._counting.record(session, [_stored(raw) for raw in raws])
        if said:
            return
        new = {raw.id for raw in fresh}
        outbox.put(
            session,
            [message_of(raw) for raw in raws if raw.id in new],
            now,
        )


def refund_of(order: UUID) -> UUID:
    """The id of the refund of an order, by the id of the order's engagement."""
    return derived(CONVERTED, order, REFUNDED)


def _said_of(raw: Raw, known: Mapping[UUID, DeliveryRow]) -> Message:
    """The event of a tracked engagement."""
    delivery = known[raw.subject] if raw.subject else None
    if delivery is None:
        return message_of(raw)
    return message_about(raw, delivery.contact_key, delivery.profile_id)


def _delivery_of(raw: Raw) -> dict[str, str]:
    kept = (raw.document or {}).get("delivery_id")
    return {"delivery_id": kept} if kept else {}


def _raw_of(waiter: Waiter, credit: Credit) -> Raw:
    document = waiter.document
    if waiter.kind in REPORTED and credit.delivery_id is not None:
        document = document | {"delivery_id": str(credit.delivery_id)}
    return Raw(
        waiter.id,
        waiter.kind,
        waiter.kind.removeprefix("engagement."),
        waiter.at,
        credit.subject,
        credit.campaign_id,
        credit.bait_id,
        credit.channel,
        credit=credit.rule,
        amount=waiter.document.get("amount"),
        currency=waiter.document.get("currency") or "",
        contact_key=credit.contact_key,
        profile_id=credit.profile_id,
        document=document,
    )


def _stored(raw: Raw) -> Raw:
    """As the table keeps it: who a delivery went to stands with the delivery."""
    if raw.kind == UNSUBSCRIBED:
        return raw._replace(contact_key=None, profile_id=None)
    return raw

"""To whom a reported inquiry or order is credited."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from services.metrics.funnel import repository as funnel
from services.metrics.subjects import repository as subjects
from services.metrics.subjects.repository import DeliveryRow, LeadRow
from services.metrics.waiting.repository import Waiter

CLICK_COUNTS_FOR = timedelta(days=7)

RULE = (
    (
        "归属：先看链接令牌（bw）所指的投递；没有则归于此前 7 天内最后一次人工点击的投递；"
        "再没有则归于此人最后领取的诱饵；都没有则不归属。找不到此人的计为未归属，待其出现后补记。"
    ),
    (
        "Credit: the delivery that the link's token (bw) names; else the delivery of the person's last "
        "human click within 7 days before; else the person's last bait; else none. Reports of people "
        "whom nobody knows are counted as unattributed and joined when the person appears."
    ),
)


class Credit(NamedTuple):
    """What gets the credit, by which rule, and whom the report is about."""

    rule: str
    subject: UUID | None = None
    delivery_id: UUID | None = None
    campaign_id: UUID | None = None
    bait_id: UUID | None = None
    channel: str = ""
    contact_key: str | None = None
    profile_id: UUID | None = None


class Person(NamedTuple):
    """Whom a report names, as far as it is known."""

    profile_id: UUID | None
    contact_keys: frozenset[str]


def credit_of(session: Session, waiter: Waiter) -> Credit | None:
    """The credit of a report; None when it names a delivery that is not known yet.

    The rule "unmatched": nobody knows the person.
    """
    if waiter.delivery_id is not None:
        delivery = subjects.deliveries(session, [waiter.delivery_id]).get(waiter.delivery_id)
        return _by_delivery("token", delivery) if delivery else None
    person = _person(session, waiter)
    if person is None:
        return Credit("unmatched", contact_key=waiter.contact_key, profile_id=waiter.profile_id)
    who = Credit(
        "none",
        contact_key=waiter.contact_key or next(iter(sorted(person.contact_keys)), None),
        profile_id=person.profile_id,
    )
    clicked = _last_clicked(session, person, waiter.at)
    if clicked is not None:
        return _by_delivery("click", clicked)._replace(profile_id=who.profile_id)
    lead = subjects.last_lead(session, person.contact_keys, waiter.at)
    return _by_lead(lead, who) if lead else who


def _person(session: Session, waiter: Waiter) -> Person | None:
    profile_id = waiter.profile_id
    if profile_id is None and waiter.contact_key is not None:
        profile_id = subjects.owner(session, waiter.contact_key)
    keys = {waiter.contact_key} if waiter.contact_key else set()
    if profile_id is not None:
        group = subjects.group(session, profile_id)
        keys |= subjects.keys_of(session, group)
        if keys:
            return Person(subjects.root(session, profile_id), frozenset(keys))
    if waiter.contact_key and subjects.knows_contact(session, waiter.contact_key):
        return Person(None, frozenset(keys))
    return None


def _last_clicked(session: Session, person: Person, at: datetime) -> DeliveryRow | None:
    theirs = {row.id: row for row in subjects.deliveries_of(session, person.contact_keys)}
    if not theirs:
        return None
    clicks = [
        click
        for click in funnel.clicks_since(session, list(theirs), at - CLICK_COUNTS_FOR)
        if not click.machine and click.occurred_at <= at and click.subject is not None
    ]
    if not clicks:
        return None
    last = max(clicks, key=lambda click: (click.occurred_at, click.id))
    return theirs[last.subject] if last.subject else None


def _by_delivery(rule: str, delivery: DeliveryRow) -> Credit:
    return Credit(
        rule,
        delivery.lead_id or delivery.id,  # baits count leads
        delivery.id,
        delivery.campaign_id,
        delivery.bait_id,
        delivery.channel,
        delivery.contact_key,
        delivery.profile_id,
    )


def _by_lead(lead: LeadRow, who: Credit) -> Credit:
    return who._replace(rule="bait", subject=lead.id, bait_id=lead.bait_id, channel=lead.channel)

"""Push's view of people follows what profile and metrics say."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from services.push.deliveries.repository import LEDGER
from services.push.mailbox.repository import MAILS, SqlMailbox
from services.push.reach import handlers
from services.push.reach.repository import CONTACTS, PROFILES, SUPPRESSIONS
from services.shared.contact import Channel
from services.shared.events import Event, Received, Record, Tombstone
from services.shared.events.engagements import EngagementUnsubscribed
from services.shared.events.parts import ConsentPart, ProfileContactPart, ProfileState
from services.shared.events.profiles import ProfileChanged, ProfileErased, ProfileMerged
from services.shared.ids import derived
from tests.push.deliveries.rig import LedgerRig, contact_key, profile


def received(event: Event, at: datetime, key: str = "k", topic: str = "profiles") -> Received[Any]:
    return Received(event, derived(event, at), at, key, None, Record(topic, 0, 0, key, (), b""))


def consent(at: datetime, given: bool = True, **changes: Any) -> ConsentPart:
    parts = {"purpose": "marketing", "channel": Channel.EMAIL, "given": given, "at": at}
    return ConsentPart(**{**parts, "text_version": "1", "source": "form", **changes})


def email(number: int = 1, verified_at: datetime | None = None, **changes: Any) -> Any:
    parts = {
        "channel": Channel.EMAIL,
        "address": f"P{number}@shop.example",
        "identity": f"p{number}@shop.example",
        "contact_key": contact_key(number),
        "abuse_key": f"abuse-{number}",
        "verified_at": verified_at,
    }
    return ProfileContactPart(**{**parts, **changes})


def changed(
    now: datetime, revision: int = 1, contacts: Sequence[Any] = (), **changes: Any
) -> ProfileChanged:
    parts: dict[str, Any] = {
        "profile_id": profile(1),
        "revision": revision,
        "language": "en",
        "timezone": None,
        "contacts": tuple(contacts),
        "consents": (),
        "fields": {"name": "Ann"},
        "tags": (),
        "created_at": now,
        "changed_at": now,
    }
    return ProfileChanged(state=ProfileState(**{**parts, **changes}))


async def take(rig: LedgerRig, *events: Event) -> None:
    now = rig.clock.now()
    items = [received(event, now, topic=event.topic) for event in events]
    handler = handlers.handlers(rig.clock)[type(events[0])]
    await rig.database.transaction(lambda s: handler(s, items))


async def contacts(rig: LedgerRig) -> list[Any]:
    return list(await rig.database.read(lambda s: s.execute(select(CONTACTS)).all()))


async def person(rig: LedgerRig, id_: UUID) -> Any:
    return await rig.database.read(
        lambda s: s.execute(select(PROFILES).where(PROFILES.c.id == id_)).one_or_none()
    )


async def suppressed(rig: LedgerRig) -> set[tuple[str, str]]:
    rows = await rig.database.read(lambda s: s.execute(select(SUPPRESSIONS)).all())
    return {(row.contact_key, row.reason) for row in rows}


async def test_the_newest_state_counts_in_whatever_order_it_comes(rig: LedgerRig):
    now = rig.clock.now()
    await take(
        rig,
        changed(now, 2, [email(1), email(2)], fields={"name": "Two"}),
        changed(now, 3, [email(2, now)], consents=(consent(now),), fields={"name": "Three"}),
        changed(now, 1, [email(1)], fields={"name": "One"}),
    )
    await take(rig, changed(now, 2, [email(1)], fields={"name": "Old"}))
    found = await person(rig, profile(1))
    assert (found.revision, found.fields) == (3, {"name": "Three"})
    rows = await contacts(rig)
    assert [(row.contact_key, row.verified_at, row.marketing) for row in rows] == [
        (contact_key(2), now, True)
    ]


async def test_the_newest_word_on_marketing_counts(rig: LedgerRig):
    now = rig.clock.now()
    hour = timedelta(hours=1)
    said = (
        consent(now),
        consent(now - hour, given=False),
        consent(now + hour, given=False, channel=Channel.PHONE),
        consent(now + hour, given=False, purpose="statistics"),
        consent(now + hour, given=False, contact_key="another contact"),
    )
    await take(rig, changed(now, 1, [email(1, now)], consents=said))
    assert [row.marketing for row in await contacts(rig)] == [True]
    withdrawn = (*said, consent(now + hour, given=False, contact_key=contact_key(1)))
    await take(rig, changed(now, 2, [email(1, now)], consents=withdrawn))
    assert [row.marketing for row in await contacts(rig)] == [False]
    await take(rig, changed(now, 3, [email(1, now)], consents=()))
    assert [row.marketing for row in await contacts(rig)] == [None]


@pytest.mark.parametrize(
    ("said", "phone", "zone"),
    [
        ("Europe/Paris", "+8613800138000", "Europe/Paris"),
        (None, "+8613800138000", "Asia/Shanghai"),
        (None, "+33142685300", "Europe/Paris"),
        ("Mars/Olympus", "+8613800138000", "Asia/Shanghai"),
        (None, None, None),
    ],
)
async def test_a_persons_zone_is_said_else_the_phones(
    rig: LedgerRig, said: str | None, phone: str | None, zone: str | None
):
    theirs = [email(1)]
    if phone:
        theirs.append(email(2, channel=Channel.PHONE, address=phone, identity=phone))
    await take(rig, changed(rig.clock.now(), 1, theirs, timezone=said))
    assert (await person(rig, profile(1))).zone == zone


async def test_an_erased_person_leaves_nothing_and_does_not_come_back(rig: LedgerRig):
    now = rig.clock.now()
    await take(rig, changed(now, 1, [email(1, now)], consents=(consent(now),)))
    await rig.plan(rig.request(1, values={"name": "Ann"}))
    await SqlMailbox(rig.database, rig.clock).add(
        b"To: P1@shop.example\r\nSubject: x\r\n\r\nhi", profile(5), "P1@shop.example", "x"
    )
    await take(rig, ProfileErased(profile_id=profile(1), contact_keys=(contact_key(1),)))
    await take(rig, changed(now, 2, [email(1, now)]))
    found = await person(rig, profile(1))
    assert (found.fields, found.erased_at) == ({}, now)
    assert await contacts(rig) == []
    assert await suppressed(rig) == {(contact_key(1), "erased")}
    rows = await rig.database.read(lambda s: s.execute(select(LEDGER)).all())
    assert [(row.address, row.vals) for row in rows] == [(None, {})]
    assert await rig.database.read(lambda s: s.execute(select(MAILS)).all()) == []


async def test_a_tombstone_erases_too(rig: LedgerRig):
    now = rig.clock.now()
    await take(rig, changed(now, 1, [email(1, now)]))
    handler = handlers.handlers(rig.clock)[Tombstone]
    items = [
        received(Tombstone(), now, str(profile(1))),
        received(Tombstone(), now, "not a profile", "push-requests"),
    ]
    await rig.database.transaction(lambda s: handler(s, items))
    assert (await person(rig, profile(1))).erased_at == now
    assert await contacts(rig) == []


async def test_a_merged_profile_shares_the_cap_of_the_other(rig: LedgerRig):
    rig = LedgerRig(rig.database, rig.clock, cap_day=1)
    await rig.people([1, 2])
    await take(rig, ProfileMerged(profile_id=profile(1), merged_id=profile(2)))
    await rig.plan(rig.wish(1), rig.wish(2))
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert len(turn.sending) == 1
    assert await rig.lines() == [("held", "cap_day")]


async def test_who_unsubscribes_by_a_delivery_is_found_by_it(rig: LedgerRig):
    ids = await rig.plan(rig.wish(1))
    left = {"engagement_id": derived("e"), "way": "one_click"}
    await take(rig, EngagementUnsubscribed(delivery_id=ids[contact_key(1)], **left))
    await take(rig, EngagementUnsubscribed(contact_key="k2", **left))
    await take(rig, EngagementUnsubscribed(delivery_id=profile(7), **left))
    assert await suppressed(rig) == {(contact_key(1), "unsubscribed"), ("k2", "unsubscribed")}


async def test_who_leaves_by_a_clock_that_was_set_back_has_left(rig: LedgerRig):
    """Found by R9 of the chaos cases, seed 7."""
    agreed = rig.clock.now()
    await take(rig, changed(agreed, 1, [email(1, agreed)], consents=(consent(agreed),)))
    ids = await rig.plan(rig.wish(1))
    rig.clock.jump(-timedelta(days=1))
    left = {"engagement_id": derived("e"), "contact_key": contact_key(1), "way": "one_click"}
    await take(rig, EngagementUnsubscribed(delivery_id=ids[contact_key(1)], **left))
    assert await suppressed(rig) == {(contact_key(1), "unsubscribed")}


@pytest.mark.parametrize(
    ("consent_after", "verified_after", "back"),
    [(60, 120, True), (60, -60, False), (-60, 120, False), (60, None, False)],
)
async def test_who_left_is_back_only_by_a_new_consent_that_was_verified_after_it(
    rig: LedgerRig, consent_after: int, verified_after: int | None, back: bool
):
    """A stranger may type the address of somebody who left, and tick the box."""
    now = rig.clock.now()
    await take(
        rig,
        EngagementUnsubscribed(engagement_id=derived("e"), way="page", contact_key=contact_key(1)),
    )
    verified = None if verified_after is None else now + timedelta(seconds=verified_after)
    said = (consent(now + timedelta(seconds=consent_after)),)
    await take(rig, changed(now, 2, [email(1, verified)], consents=said))
    assert (await suppressed(rig) == set()) is back

"""Requests become deliveries: bait mails one each, notices to staff bundled."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from services.push.channels.base import OutcomeClass, Result, render
from services.push.deliveries.material import MaterialKey
from services.push.deliveries.repository import LEDGER
from services.push.requests import handlers
from services.push.requests.messages import AllContents
from services.shared.contact import Channel
from services.shared.events import Event, Received, Record
from services.shared.events.parts import CausePart, ContactPart
from services.shared.events.push import PushRequested
from services.shared.ids import derived
from tests.push.deliveries.rig import LedgerRig, profile

STAFF = "boss@shop.example"


def wanted(kind: str, cause: str, address: str = "a@b.example", **changes: Any) -> PushRequested:
    contact = ContactPart(
        channel=changes.pop("channel", Channel.EMAIL),
        address=address,
        identity=address,
        contact_key=f"key of {address}",
        abuse_key=f"abuse of {address}",
    )
    parts: dict[str, Any] = {
        "cause": CausePart(kind=kind, id=cause),
        "contact": contact,
        "template": "lead_notice" if kind == "notice" else "bait_mail",
        "language": "en",
        "values": {"bait_title": "Prices", "link": "https://x.example/r/t", "sender": "Shop"},
        "bait_id": derived("bait"),
    }
    return PushRequested(**{**parts, **changes})


async def take(rig: LedgerRig, *events: Event, at: datetime | None = None) -> None:
    now = at or rig.clock.now()
    record = Record("push-requests", 0, 0, "k", (), b"")
    items = [Received(event, derived(event), now, "k", None, record) for event in events]
    handler = handlers.handlers(rig.clock, rig.ids)[PushRequested]
    await rig.database.transaction(lambda s: handler(s, items))


async def rows(rig: LedgerRig) -> list[Any]:
    found = await rig.database.read(
        lambda s: s.execute(select(LEDGER).order_by(LEDGER.c.created_at, LEDGER.c.not_before)).all()
    )
    return list(found)


async def send_all(rig: LedgerRig) -> int:
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    answers = [(row, Result(row.id, OutcomeClass.OK, "250")) for row, _ in turn.sending]
    await rig.turn(ledger, answers=answers)
    return len(turn.sending)


async def test_a_lead_makes_one_mail_however_often_it_is_asked_for(rig: LedgerRig):
    await take(rig, wanted("lead", "lead-1"), wanted("lead", "lead-1"))
    await take(rig, wanted("lead", "lead-1"), wanted("lead", "lead-2"))
    assert [row.cause_id for row in await rows(rig)] == ["lead-1", "lead-2"]
    first = (await rows(rig))[0]
    assert (first.marketing, first.built_in, first.address) == (False, "bait_mail", "a@b.example")


async def test_a_request_that_waited_for_days_is_not_sent_any_more(rig: LedgerRig):
    asked = rig.clock.now()
    rig.clock.advance(4 * 24 * 3600)
    await take(rig, wanted("lead", "lead-1"), at=asked)
    assert await send_all(rig) == 0
    assert [row.reason for row in await rows(rig)] == ["expired"]


async def test_a_contact_that_no_channel_reaches_is_left_alone(rig: LedgerRig):
    await take(rig, wanted("lead", "lead-1", channel=Channel.QQ))
    assert await rows(rig) == []


async def test_staff_get_one_mail_in_five_minutes(rig: LedgerRig):
    await take(rig, wanted("notice", "lead-1", STAFF))
    assert await send_all(rig) == 1
    for number in range(2, 6):
        await take(rig, wanted("notice", f"lead-{number}", STAFF))
        await take(rig, wanted("notice", f"lead-{number}", STAFF))
        rig.clock.advance(30)
    assert await send_all(rig) == 0
    bundle = (await rows(rig))[-1]
    assert (bundle.vals["count"], bundle.vals["list"]) == ("4", "Prices × 4")
    rig.clock.advance(200)
    assert await send_all(rig) == 1
    rig.clock.advance(3600)
    await take(rig, wanted("notice", "lead-9", STAFF), wanted("notice", "lead-9", "b@shop.example"))
    assert await send_all(rig) == 2


async def test_a_notice_that_comes_while_its_bundle_is_sent_is_told_in_the_next(rig: LedgerRig):
    await take(rig, wanted("notice", "lead-1", STAFF))
    ledger = rig.ledger()
    claimed = await rig.claim(ledger)
    await take(rig, wanted("notice", "lead-2", STAFF))
    assert len((await rig.turn(ledger, candidates=claimed)).sending) == 1
    assert [row.vals["count"] for row in await rows(rig)] == ["1", "1"]
    rig.clock.advance(301)
    assert await send_all(rig) == 1


def written(rig: LedgerRig, name: str, language: str, values: dict[str, str]) -> tuple[str, ...]:
    contents = AllContents(None, None)
    key = MaterialKey(name, language)
    piece = contents.load(None, [key])[key].for_person(values, {})  # type: ignore[arg-type]
    content = piece.content
    assert content.html is not None
    return tuple(
        render(part, piece.values) for part in (content.subject, content.text, content.html)
    )


async def test_the_bait_mail_in_both_languages_escapes_what_it_is_given(rig: LedgerRig):
    values = {"bait_title": "A <b> & C", "link": "https://x.example/r/t?a=1&b=2", "sender": "Shop"}
    subject, text, html = written(rig, "bait_mail", "en-GB", values)
    assert "A <b> & C" in subject
    assert "https://x.example/r/t?a=1&b=2" in text
    assert 'href="https://x.example/r/t?a=1&amp;b=2"' in html
    assert "<b>" not in html
    assert "在这里" in written(rig, "bait_mail", "zh-CN", values)[0]


async def test_a_chinese_mail_has_chinese_punctuation_before_its_link(rig: LedgerRig):
    values = {"bait_title": "价格表", "link": "https://x.example/r/t", "sender": "商店"}
    _, text, _ = written(rig, "bait_mail", "zh-CN", values)
    assert "打开资料：https://x.example/r/t\n" in text


async def test_the_notice_says_how_many_of_what(rig: LedgerRig):
    values = {
        "bait_title": "Prices",
        "link": "https://x.example/people",
        "count": "3",
        "list": "P × 3",
    }
    subject, text, _ = written(rig, "lead_notice", "en", values)
    assert subject == "3 new for Prices"
    assert "P × 3" in text


async def test_a_template_is_asked_for_what_push_does_not_know_itself(rig: LedgerRig):
    contents = AllContents(rig.contents, None)
    keys = [MaterialKey("bait_mail", "en"), MaterialKey(profile(1), "en")]
    assert set(contents.load(None, keys)) == set(keys)  # type: ignore[arg-type]

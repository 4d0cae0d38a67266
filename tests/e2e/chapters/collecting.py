"""Baits are made, contacts are left in four ways, mails arrive, resources are opened."""

import re

from tests.e2e.api import JSON, until
from tests.e2e.chapters.waiting import lead_of
from tests.e2e.scene import CHROME, Person, Scene
from tests.e2e.site import HOST

REPORT, COUPON = "report", "coupon"
SECRET = "只有读者知道：2026 年茶叶行情"
CONSENT = "marketing.email"
PHONE = "138 0013 8000"


async def make_baits(scene: Scene) -> None:
    """An operator makes a bait that asks for an address, and one that also takes a phone number."""
    scene.baits[REPORT] = await scene.api.post(
        "/v1/baits",
        {
            "slug": REPORT,
            "title": "2026 茶叶行情报告",
            "description": "三十页，一分钟领取。\n不公开发布。",
            "language": "zh-CN",
            "contacts": ["email"],
            "fields": [{"name": "name", "label": "称呼", "type": "text"}],
            "tags": ["report"],
            "resource": {"kind": "text", "text": SECRET},
            "consents": [_consent("email", "同意接收邮件，可随时退订。")],
            "origins": [scene.site.origin],
            "sender": "茶叶行情",
            "release": "verified",
        },
    )
    scene.baits[COUPON] = await scene.api.post(
        "/v1/baits",
        {
            "slug": COUPON,
            "title": "A coupon for tea",
            "description": "Ten per cent off.",
            "language": "en",
            "contacts": ["email", "phone"],
            "resource": {"kind": "text", "text": "Your code: TEN-OFF"},
            "consents": [_consent("phone", "Text me about offers.")],
            "release": "at_once",
            "others_on_page": True,
        },
    )


def _consent(channel: str, text: str) -> JSON:
    return {"purpose": "marketing", "channel": channel, "text": text, "version": "2026-03"}


async def leave_by_script(scene: Scene) -> None:
    """ann fills the form that the script draws on a page whose policy allows our host only."""
    us = scene.system.url
    address = scene.site.put(
        "/tea",
        f"<h1>茶</h1><script src='{us}/embed.js' data-bait='{REPORT}' data-lang='zh-CN'></script>",
        {
            "content-security-policy": f"default-src 'none'; script-src {us}; connect-src {us}",
        },
    )
    page = await scene.visitor()
    await page.goto(f"{address}?utm_source=letter&secret=1")
    await page.evaluate(
        "() => document.addEventListener('baitwell:submitted',"
        " event => { document.title = event.detail.lead_id })"
    )
    scene.book.note("displayed", bait=REPORT)
    await page.get_by_role("button").wait_for()
    await scene.camera.shoot(page, "script-form")
    assert not await page.get_by_role("checkbox").is_checked()
    await page.get_by_label("邮箱").fill("not an address")
    await page.get_by_role("button").click()
    await page.get_by_text("请填写有效的邮箱地址").wait_for()
    await scene.camera.shoot(page, "script-error")
    ann = scene.people["ann"]
    await page.get_by_label("邮箱").fill(ann.email)
    await page.get_by_label("称呼").fill("安")
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button").click()
    await page.get_by_role("status").wait_for()
    await scene.camera.shoot(page, "script-thanks")
    ann.lead_id = await page.title()
    assert await page.context.cookies() == []
    scene.book.note("submitted", bait=REPORT)


async def leave_by_page(scene: Scene) -> None:
    """bo has no JavaScript, types something wrong first, and keeps what he typed."""
    page = await scene.visitor(javascript=False)
    await page.goto(f"{scene.system.url}/b/{REPORT}?utm_source=qr")
    scene.book.note("displayed", bait=REPORT)
    await scene.camera.shoot(page, "bait")
    assert not await page.get_by_role("checkbox").is_checked()
    await page.get_by_label("邮箱").fill("bo@@people")
    await page.get_by_label("称呼").fill("波")
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button").click()
    await page.get_by_text("请填写有效的邮箱地址").first.wait_for()
    await scene.camera.shoot(page, "bait-error")
    assert await page.get_by_label("邮箱").input_value() == "bo@@people"
    assert await page.get_by_label("称呼").input_value() == "波"
    assert await page.get_by_role("checkbox").is_checked()
    bo = scene.people["bo"]
    await page.get_by_label("邮箱").fill(bo.email)
    await page.get_by_role("button").click()
    await page.get_by_text("提交成功").wait_for()
    await scene.camera.shoot(page, "thanks")
    scene.book.note("submitted", bait=REPORT)


async def leave_by_plain_form(scene: Scene) -> None:
    """chen fills a form that the company's web developer has written."""
    after = scene.site.put("/thanks", "<h1>谢谢，请查收邮件</h1>")
    address = scene.site.put(
        "/form",
        f"<form method=post action='{scene.system.url}/f/{REPORT}'>"
        f"<input type=hidden name=_next value='{after}'>"
        "<input name=email aria-label=mail><input name=name value=陈>"
        "<input name=shoe_size value=42>"
        f"<input type=checkbox name='consent.{CONSENT}' value=yes aria-label=yes>"
        "<button>领取</button></form>",
    )
    page = await scene.visitor(javascript=False)
    await page.goto(address)
    await page.get_by_label("mail").fill(scene.people["chen"].email.upper())
    await page.get_by_label("yes").check()
    await page.get_by_role("button").click()
    await page.wait_for_url(after)
    scene.book.note("submitted", bait=REPORT)


async def leave_by_api(scene: Scene) -> None:
    """dora, erik and fei come through a program; a retry with the same key is the same lead."""
    for name in ("dora", "erik", "fei"):
        person = scene.people[name]
        body = {
            "contact": {"email": person.email},
            "fields": {"name": name},
            "consents": {CONSENT: person.consents},
        }
        answers = [
            await scene.public.post(
                f"/v1/baits/{REPORT}/leads",
                json=body,
                headers={"idempotency-key": f"story-{name}"},
            )
            for _ in "12"
        ]
        assert [answer.status_code for answer in answers] == [202, 202], answers[0].text
        assert answers[0].json() == answers[1].json()
        person.lead_id = answers[0].json()["lead_id"]
        scene.book.note("submitted", bait=REPORT)


async def leave_a_phone_number(scene: Scene) -> None:
    """Somebody leaves a phone number, which no channel reaches: the coupon is on the thanks page."""
    page = await scene.visitor(locale="en-GB", javascript=False)
    await page.goto(f"{scene.system.url}/b/{COUPON}")
    scene.book.note("displayed", bait=COUPON)
    await scene.camera.shoot(page, "bait-two-contacts-english")
    await page.get_by_label("Phone").fill(PHONE)
    await page.get_by_role("button").click()
    await page.get_by_role("button").wait_for()
    assert re.search(r"/b/coupon/thanks\?t=", page.url)
    await scene.camera.shoot(page, "thanks-with-resource")
    scene.book.note("submitted", bait=COUPON)
    await page.get_by_role("button").click()
    await page.get_by_text("TEN-OFF").wait_for()
    await scene.camera.shoot(page, "opened-coupon-english")
    scene.book.note("opened", bait=COUPON)


async def refuse_strangers(scene: Scene) -> None:
    """A site that the bait does not list, and a bait that is not there."""
    page = await scene.visitor()
    await page.goto(f"{scene.system.url}/b/nowhere")
    await scene.camera.shoot(page, "no-such-bait")
    foreign = await scene.public.post(
        f"/f/{REPORT}",
        data={"email": "mallory@people.example"},
        headers={"origin": "https://evil.example"},
    )
    assert foreign.status_code == 403
    assert HOST not in foreign.text


async def read_bait_mails(scene: Scene) -> None:
    """Everybody with an address gets one mail, in which nothing stands that they have typed."""
    for person in scene.people.values():
        mail = await scene.new_mail(person)
        scene.book.note("sent", bait=REPORT)
        assert mail.resource_link.startswith(f"{scene.system.url}/r/")
        assert "2026 茶叶行情报告" in mail.subject
        assert SECRET not in mail.text + mail.html
        for typed in ("安", "波", "陈", "dora", "erik", "fei"):
            assert typed not in mail.text.replace(person.email, "")
        assert mail.headers["message-id"].endswith(">")
        if not person.lead_id:
            person.lead_id = await lead_of(scene, person)


async def scan(scene: Scene) -> None:
    """A mail gateway follows every link, as HEAD and as GET: nothing happens."""
    for person in scene.people.values():
        link = person.mails[0].resource_link
        looked = await scene.public.get(link, headers={"user-agent": CHROME})
        assert looked.status_code == 200
        assert SECRET not in looked.text
        assert (await scene.public.head(link)).status_code in (200, 405)
        assert looked.headers["referrer-policy"] == "no-referrer"
        state = await scene.api.get(f"/v1/leads/{person.lead_id}")
        assert state["verified_at"] is None
        assert state["opened_at"] is None


async def open_resources(scene: Scene) -> None:
    """Those who verify press the button; some in a browser. Twice counts once."""
    for person in scene.people.values():
        if not person.verifies:
            continue
        if person.name in ("ann", "bo"):
            await _press(scene, person)
        else:
            for _ in "12":
                opened = await scene.public.post(person.mails[0].resource_link)
                assert opened.status_code == 200
                assert SECRET in opened.text
        scene.book.note("verified", bait=REPORT)
        scene.book.note("opened", bait=REPORT)
        state = await scene.api.get(f"/v1/leads/{person.lead_id}")
        assert state["verified_at"] is not None


async def _press(scene: Scene, person: Person) -> None:
    page = await scene.visitor(javascript=person.name == "ann")
    await page.goto(person.mails[0].resource_link)
    if person.name == "ann":
        await scene.camera.shoot(page, "resource")
    await page.get_by_role("button").click()
    await page.get_by_text(SECRET).wait_for()
    if person.name == "ann":
        await scene.camera.shoot(page, "opened")


async def forge(scene: Scene) -> None:
    """A token that was changed opens nothing, and says nothing."""
    link = scene.people["ann"].mails[0].resource_link
    broken = link[:-4] + ("AAAA" if not link.endswith("AAAA") else "BBBB")
    page = await scene.visitor()
    answer = await page.goto(broken)
    assert answer.status == 404
    await scene.camera.shoot(page, "broken-link")
    await until(
        lambda: scene.api.get("/v1/baits"), lambda list_: len(list_["items"]) >= 3, "three baits"
    )

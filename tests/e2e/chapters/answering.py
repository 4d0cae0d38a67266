"""People and machines answer: pixels, clicks, unsubscribes; the shop and the call centre report."""

import asyncio
from urllib.parse import parse_qs, urlsplit

from tests.components.waiting import eventually
from tests.e2e.api import Api
from tests.e2e.chapters.collecting import REPORT
from tests.e2e.chapters.pushing import FIRST, SECOND
from tests.e2e.mails import target_of
from tests.e2e.scene import CHROME, Scene

PERSON = {"user-agent": CHROME}
ROBOT = {"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
PROGRAM = {"user-agent": "python-requests/2.32"}


async def read_and_click(scene: Scene) -> str:
    """ann draws the mail and follows one link in her browser; the token that the shop gets."""
    mail = scene.people["ann"].mails[1]
    drawn = await scene.public.get(mail.pixel, headers=PERSON)
    assert drawn.headers["content-type"] == "image/gif"
    scene.book.note("displayed", campaign=FIRST)
    scene.site.put("/product", "<h1>新茶</h1>")
    page = await scene.visitor()
    await page.goto(mail.click_links[0])
    assert page.url.startswith(f"{scene.site.origin}/product")
    scene.book.note("clicked", campaign=FIRST)
    await eventually(lambda: scene.site.asked("/product"), "the shop is asked for the product")
    [token] = parse_qs(urlsplit(scene.site.asked("/product")[0]).query)["bw"]
    assert "people.example" not in token
    return token


async def machines_follow(scene: Scene) -> None:
    """A gateway asks by HEAD, a robot and a program follow links, another follows all at once."""
    links = scene.people["bo"].mails[1].click_links
    for method, headers in (("HEAD", PERSON), ("GET", ROBOT), ("GET", PROGRAM)):
        followed = await scene.public.request(method, links[0], headers=headers)
        assert followed.status_code == 302
        assert followed.headers["location"].startswith(target_of(links[0]))
        scene.book.note("machine_clicked", campaign=FIRST)
    mail = scene.people["chen"].mails[1]
    await asyncio.gather(*(scene.public.get(link, headers=PERSON) for link in mail.click_links))
    scene.book.note("machine_clicked", campaign=FIRST, times=len(mail.click_links))
    await scene.public.get(mail.pixel, headers=PROGRAM)
    scene.book.note("machine_displayed", campaign=FIRST)


async def forged_links_go_nowhere(scene: Scene) -> None:
    """Another target under a true token: our page, no redirect, and the address is not shown."""
    link = scene.people["ann"].mails[1].click_links[0]
    evil = link.split("?")[0] + "?u=https%3A%2F%2Fevil.example%2F"
    page = await scene.visitor()
    answer = await page.goto(evil)
    assert answer.status == 404
    assert "evil.example" not in await page.content()
    await scene.camera.shoot(page, "forged-link")


async def leave_with_one_click(scene: Scene) -> None:
    """bo's mail program posts (RFC 8058). Looking at the page, as chen does, changes nothing."""
    bo, chen = scene.people["bo"].mails[1], scene.people["chen"].mails[1]
    page = await scene.visitor()
    await page.goto(chen.unsubscribe_page)
    await scene.camera.shoot(page, "unsubscribe")
    assert (await scene.public.head(chen.one_click)).status_code == 200
    for _ in "12":
        left = await scene.public.post(
            bo.one_click,
            content="List-Unsubscribe=One-Click",
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
        assert left.status_code == 200
    scene.book.note("unsubscribed", campaign=FIRST)


async def leave_by_page(scene: Scene) -> None:
    """ann leaves by the page, without JavaScript."""
    page = await scene.visitor(javascript=False, locale="en-GB")
    await page.goto(scene.people["ann"].mails[2].unsubscribe_page)
    await page.get_by_role("button").click()
    await page.get_by_text("You are unsubscribed").wait_for()
    await scene.camera.shoot(page, "unsubscribed-english")
    scene.book.note("unsubscribed", campaign=SECOND)


async def report(scene: Scene, token: str) -> None:
    """The shop and the call centre report with a key that can do nothing else."""
    key = await asyncio.to_thread(scene.system.new_key, "shop", "report")
    chen = {"channel": "email", "address": scene.people["chen"].email}
    order = {"kind": "converted", "source": "shop", "currency": "CNY"}
    async with Api(scene.system, key) as shop:
        by_token = {**order, "order_id": "A-1", "amount": 19_900, "bw": token}
        for state in ("accepted", "known"):
            receipt = await shop.post("/v1/engagements", by_token)
            assert receipt["items"][0]["state"] == state
        scene.book.note("converted", campaign=FIRST)
        await shop.post("/v1/engagements", {"kind": "inquired", "source": "shop", "bw": token})
        scene.book.note("inquired", campaign=FIRST)
        by_contact = {**order, "order_id": "A-2", "amount": 5_000, "contact": chen}
        await shop.post("/v1/engagements", by_contact)
        await shop.post("/v1/engagements", {**by_contact, "state": "refunded"})
        scene.book.note("converted", bait=REPORT)
        scene.book.note("refunded", bait=REPORT)
        fei = scene.people["fei"].profile_id
        asked = {"kind": "inquired", "source": "hotline", "profile_id": fei, "order_id": "T-1"}
        await shop.post("/v1/engagements", [asked, {**asked, "order_id": "T-2"}])
        scene.book.note("inquired", bait=REPORT, times=2)
        stranger = {"channel": "email", "address": "stranger@elsewhere.example"}
        unknown = {**order, "order_id": "A-3", "amount": 100, "contact": stranger}
        await shop.post("/v1/engagements", unknown)
        scene.book.note("unattributed_converted")

"""`/embed.js` and the form that it draws, in a real browser on another site."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Locator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.capture.system import CaptureSystem, capture_system
from tests.components.browser import DESKTOP, PHONE, Pages

CONSENT = {"purpose": "marketing", "channel": "email", "text": "News by mail", "version": "7"}


class TestScript:
    async def test_it_is_small_cached_and_without_cookie(self, capture: CaptureSystem) -> None:
        packed = await capture.client.get("/embed.js", headers={"accept-encoding": "gzip"})
        assert packed.headers["content-encoding"] == "gzip"
        assert len(gzip.compress(packed.content, 9)) <= 5 * 1024
        assert packed.headers["content-type"].startswith("text/javascript")
        assert packed.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in packed.headers
        again = await capture.client.get(
            "/embed.js", headers={"if-none-match": packed.headers["etag"]}
        )
        assert again.status_code == 304
        plain = await capture.client.get("/embed.js", headers={"accept-encoding": "identity"})
        assert plain.content == packed.content

    async def test_it_needs_nothing_that_old_browsers_lack(self, capture: CaptureSystem) -> None:
        script = (await capture.client.get("/embed.js")).text
        for young in ("randomUUID", "?.", "??", "=>", "async function", "innerHTML", "eval("):
            assert young not in script


class TestForm:
    async def test_it_says_all_that_is_drawn(self, capture: CaptureSystem) -> None:
        await capture.bait(consents=[CONSENT], contacts=["email", "qq"], qq_mail=True)
        response = await capture.client.get("/v1/baits/guide/form?lang=en")
        view = response.json()
        assert response.headers["access-control-allow-origin"] == "*"
        assert view["version"] == 1
        assert view["one_of"] is True
        assert [item["id"] for item in view["contacts"]] == ["contact.email", "contact.qq"]
        assert "@qq.com" in view["contacts"][1]["hint"]
        assert view["consents"][0]["id"] == "consents.marketing.email"
        assert view["texts"]["submit"] == "Get it now"
        chinese = await capture.client.get("/v1/baits/guide/form?lang=zh-CN")
        assert chinese.json()["texts"]["submit"] == "马上领取"


@dataclass
class Site:
    """Capture on one port, and a shop's page on another, under a strict CSP."""

    capture: CaptureSystem
    url: str
    host: str


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def listen() -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    ours, port = listen()
    theirs, shop_port = listen()
    host = f"http://127.0.0.1:{port}"

    async def shop(request: Request) -> Response:
        tags = "".join(
            f'<p>{slug}</p><script async src="{host}/embed.js" data-bait="{slug}" {lang}></script>'
            for slug in request.query_params.getlist("bait")
            for lang in [
                f'data-lang="{request.query_params["say"]}"'
                if "say" in request.query_params
                else ""
            ]
        )
        page = f'<!doctype html><meta charset="utf-8"><title>Shop</title>{tags}<script src="/heard.js"></script>'
        csp = f"default-src 'none'; script-src {host} 'self'; connect-src {host}"
        return HTMLResponse(page, headers={"content-security-policy": csp})

    async def heard(_request: Request) -> Response:
        text = (
            "window.heard=[];document.addEventListener('baitwell:submitted',"
            "function(e){window.heard.push(e.detail)})"
        )
        return Response(text, media_type="text/javascript")

    pages = Starlette(routes=[Route("/", shop), Route("/heard.js", heard)])
    async with (
        capture_system(tmp_path, public_url=host) as capture,
        serving(capture.app, ours),
        serving(pages, theirs),
    ):
        yield Site(capture, f"http://127.0.0.1:{shop_port}", host)


async def _border(field: Locator) -> str:
    found: str = await field.evaluate("e => getComputedStyle(e).borderTop")
    return found


class TestInPlace:
    async def test_a_visitor_fills_the_form_on_another_site(self, site: Site, pages: Pages) -> None:
        await site.capture.bait(
            release="at_once",
            consents=[CONSENT],
            origins=[site.url],
            fields=[
                {"name": "company", "label": "Company", "required": True},
                {
                    "name": "needs",
                    "label": "Needs",
                    "type": "multi_choice",
                    "choices": [{"value": v, "label": v} for v in ("box", "bag")],
                },
            ],
        )
        page = await pages.open(device=PHONE, locale="en-US")
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        await page.goto(f"{site.url}/?bait=guide&utm_source=poster&secret=1")
        await page.get_by_role("button").click()
        await page.get_by_text("This field is required.").first.wait_for()
        assert await page.get_by_label("E-mail").get_attribute("aria-invalid") == "true"
        await page.get_by_label("E-mail").fill("nobody")
        assert not await page.get_by_label("News by mail").is_checked()
        await page.get_by_role("button").click()
        await page.get_by_text("This is not an e-mail address.").wait_for()
        await page.get_by_text("This field is required.").wait_for()
        assert await page.get_by_label("E-mail").input_value() == "nobody"
        await page.get_by_label("E-mail").fill("li@shop.example")
        await page.get_by_label("Company").fill("示例")
        await page.get_by_label("bag").check()
        await page.get_by_label("News by mail").check()
        await page.get_by_role("button").click()
        await page.get_by_text("Done, thank you!").wait_for()
        heard = await page.evaluate("window.heard")
        (said,) = await site.capture.said("lead.submitted")
        assert heard == [{"bait": "guide", "lead_id": said["data"]["lead_id"]}]
        assert said["data"]["fields"] == {"company": "示例", "needs": ["bag"]}
        assert said["data"]["consents"][0]["given"] is True
        assert said["data"]["source"] == {"utm_source": "poster", "landing_page": f"{site.url}/"}
        assert said["data"]["proof"]["way"] == "script"
        assert said["data"]["language"] == "en"
        assert await page.context.cookies() == []
        assert [c for c in complaints if "Content Security Policy" in c] == []
        link = await page.get_by_role("link", name="Open it").get_attribute("href")
        assert link is not None
        assert link.startswith(f"{site.host}/b/guide/thanks?t=")
        await page.goto(link)
        await page.get_by_role("button").click()
        await page.get_by_text("All about guide").wait_for()

    async def test_what_is_optional_is_said_and_what_is_wrong_is_marked_as_on_our_own_page(
        self, site: Site, pages: Pages
    ) -> None:
        choices = [{"value": v, "label": v} for v in ("box", "bag")]
        await site.capture.bait(
            fields=[
                {"name": "company", "label": "Company"},
                {"name": "role", "label": "Role", "required": True},
                {
                    "name": "need",
                    "label": "Need",
                    "type": "choice",
                    "choices": choices,
                    "required": True,
                },
            ],
        )
        page = await pages.open(device=PHONE, locale="en-US")
        for address in (f"{site.url}/?bait=guide", f"{site.host}/b/guide"):
            await page.goto(address)
            await page.get_by_role("button").wait_for()
            assert await page.get_by_text("optional", exact=True).count() == 1
            assert await page.get_by_label("Company optional").count() == 1
        await page.goto(f"{site.url}/?bait=guide")
        await page.get_by_label("E-mail").fill("nobody")
        fine = await _border(page.get_by_label("E-mail"))
        await page.get_by_role("button").click()
        await page.get_by_text("This is not an e-mail address.").wait_for()
        for field in (
            page.get_by_label("E-mail"),
            page.get_by_label("Role"),
            page.get_by_role("group", name="Need"),
        ):
            assert await _border(field) != fine
            assert (await _border(field)).endswith("rgb(163, 21, 31)")
        assert await _border(page.get_by_label("Company optional")) == fine

    async def test_several_stand_on_one_page_in_the_language_asked_for(
        self, site: Site, pages: Pages
    ) -> None:
        await site.capture.bait()
        await site.capture.bait("prices", contacts=["phone"])
        page = await pages.open(device=DESKTOP, locale="en-US")
        await page.goto(f"{site.url}/?bait=guide&bait=prices&say=zh-CN")
        await page.get_by_label("邮箱").fill("a@shop.example")
        await page.get_by_label("手机号").fill("13800138000")
        for number in range(2):
            await page.get_by_role("button").first.click()
            await page.get_by_text("提交成功").nth(number).wait_for()
        assert len(await site.capture.leads()) == 2

    async def test_old_browsers_without_random_ids_or_sheets_can_do_it(
        self, site: Site, pages: Pages
    ) -> None:
        await site.capture.bait()
        page = await pages.open(locale="zh-CN")
        await page.add_init_script(
            "delete window.CSSStyleSheet; Object.defineProperty(window,'crypto',{value:undefined});"
        )
        await page.goto(f"{site.url}/?bait=guide")
        await page.get_by_label("邮箱").fill("a@shop.example")
        await page.get_by_role("button").click()
        await page.get_by_text("提交成功").wait_for()
        assert len(await site.capture.leads()) == 1

    async def test_a_bait_that_is_over_says_so(self, site: Site, pages: Pages) -> None:
        await site.capture.bait()
        await site.capture.client.post(
            "/v1/baits/guide/retire", headers={**site.capture.admin, "if-match": "*"}
        )
        page = await pages.open(locale="en-US")
        await page.goto(f"{site.url}/?bait=guide")
        await page.get_by_text("This offer is over").wait_for()

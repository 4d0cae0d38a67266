"""S7: script in every field that any page shows, in a real browser: none runs, and every page has its CSP."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from playwright.async_api import Page, Response

from tests.components.browser import Pages
from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.site import site
from tests.e2e.systems import Embedded
from tests.security.hostile import FILE_NAME, LONG, SHORT, SLUG, bait, checked, lead, template

EMAIL = "mallory@people.example"


@dataclass
class Watch:
    """What happened in a browser that must not."""

    origin: str
    events: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def on(self, page: Page) -> None:
        async def dialog(shown: Any) -> None:
            self.events.append(f"a dialog on {page.url}: {shown.message}")
            await shown.dismiss()

        page.on("dialog", dialog)
        page.on("pageerror", lambda error: self.events.append(f"an error on {page.url}: {error}"))
        page.on("console", lambda message: self._console(page, message.text))
        page.on("response", self._response)

    def _console(self, page: Page, text: str) -> None:
        pixel = "Loading the image" in text and "/o/" in text  # an operator's look is no open
        if "Content Security Policy" in text and not pixel:
            self.events.append(f"a violation on {page.url}: {text}")

    def _response(self, response: Response) -> None:
        if not response.url.startswith(self.origin):
            return
        path = urlsplit(response.url).path
        if path.endswith("/x"):
            self.events.append(f"the picture of a payload was fetched: {response.url}")
        if "text/html" not in response.headers.get("content-type", ""):
            return
        self.seen.append(path)
        policy = response.headers.get("content-security-policy", "")
        if "default-src 'none'" not in policy:
            self.events.append(f"{path} has no strict policy: {policy!r}")
        scripts = [part for part in policy.split(";") if part.strip().startswith("script-src")]
        if any("unsafe" in part for part in scripts):
            self.events.append(f"{path} lets scripts stand in the page")

    async def look(self, page: Page, path: str) -> None:
        """Look at a page: it is drawn, and nothing of a payload became an element."""
        await page.goto(self.origin + path, wait_until="load")
        await self.examine(page)

    async def examine(self, page: Page) -> None:
        for frame in page.frames:
            born = await frame.locator("[onerror],[onload],img[src=x]").count()
            assert born == 0, f"a payload became an element on {frame.url}"
        assert self.events == []


@pytest.fixture(scope="module")
def poisoned(live: Embedded) -> dict[str, str]:
    """The system with payloads in every field; the ids of what pages are about."""
    with httpx.Client(
        base_url=live.url, headers=live.admin, trust_env=False, timeout=PATIENCE
    ) as admin:
        checked(admin.post("/v1/baits", json=bait()))
        checked(admin.post(f"/v1/baits/{SLUG}/leads", json=lead(EMAIL)))
        mail = wait_until(lambda: _mail(admin, EMAIL), "the bait mail")
        text = checked(admin.get(f"/mailbox/messages/{mail}"))["text"]
        (link,) = re.findall(r"https?://\S+/r/\S+", text)
        opened = admin.post(link)
        assert opened.status_code == 200
        profile = wait_until(lambda: _profile(admin), "the profile")
        checked(
            admin.post(
                f"/v1/profiles/{profile}/consents",
                json={"channel": "email", "given": True, "provenance": LONG},
            )
        )
        for report in (
            {"kind": "inquired", "source": SHORT, "subject": LONG, "order_id": SHORT},
            {
                "kind": "converted",
                "source": SHORT,
                "order_id": LONG[:200],
                "amount": 1,
                "currency": "CNY",
            },
        ):
            checked(admin.post("/v1/engagements", json={**report, "profile_id": profile}))
        campaign = _campaign(live, admin)
        files = {"file": (FILE_NAME, b"<script>alert(1)</script>", "text/html")}
        checked(admin.post(f"/v1/baits/{SLUG}/resource", files=files, headers={"if-match": "*"}))
        marketing = wait_until(lambda: _mail(admin, EMAIL, but=mail), "the campaign's mail")
    return {
        "profile": profile,
        "campaign": campaign,
        "mail": mail,
        "marketing": marketing,
        "link": urlsplit(link).path,
    }


def _campaign(live: Embedded, admin: httpx.Client) -> str:
    made = checked(admin.post("/v1/templates", json=template()))
    segment = checked(
        admin.post(
            "/v1/segments",
            json={"name": LONG, "rule": {"field": "name", "contains": "<script>"}},
        )
    )
    key = live.new_key(LONG, "admin")
    named = {"authorization": f"Bearer {key}"}
    wait_until(
        lambda: checked(admin.get(f"/v1/segments/{segment['id']}/count"))["count"] == 1, "a member"
    )
    campaign: str = checked(
        admin.post(
            "/v1/campaigns",
            json={
                "name": LONG[:100],
                "segment_id": segment["id"],
                "template_id": made["id"],
            },
            headers=named,
        )
    )["id"]
    checked(admin.post(f"/v1/campaigns/{campaign}/start", headers=named))
    return campaign


def _mail(admin: httpx.Client, to: str, but: str | None = None) -> str | None:
    items = checked(admin.get("/mailbox/messages"))["items"]
    return next((i["id"] for i in items if i["recipient"] == to and i["id"] != but), None)


def _profile(admin: httpx.Client) -> str | None:
    found = admin.post("/v1/profiles/lookup", json={"channel": "email", "address": EMAIL})
    return str(found.json()["id"]) if found.status_code == 200 else None


async def test_pages_of_visitors_run_nothing(
    live: Embedded, poisoned: dict[str, str], pages: Pages
) -> None:
    watch = Watch(live.url)
    page = await pages.open()
    watch.on(page)
    await watch.look(page, f"/b/{SLUG}")
    await page.locator("input[name=email]").fill(LONG)
    await page.locator("textarea[name=name]").fill(LONG)
    await page.locator("main button").first.click()
    await page.get_by_role("alert").wait_for()
    await watch.examine(page)
    await page.locator("input[name=email]").fill("second@people.example")
    await page.locator("main button").first.click()
    await page.wait_for_url("**/thanks?**")
    await watch.examine(page)
    await page.locator("main button").first.click()
    await watch.examine(page)
    await watch.look(page, poisoned["link"])
    await watch.look(page, f"/b/{SLUG}?lang={quote(LONG)}&utm_source={quote(LONG)}")
    for path in ("/b/", "/nowhere/", "/r/", "/u/", "/c/token?u=javascript:alert(1)&v="):
        await watch.look(page, path + quote(LONG))
    await watch.look(page, f"/login?next={quote(LONG)}")
    await watch.look(page, "/login?next=javascript:alert(1)")
    assert f"/b/{SLUG}" in watch.seen


async def test_pages_of_operators_run_nothing(
    live: Embedded, poisoned: dict[str, str], pages: Pages
) -> None:
    watch = Watch(live.url)
    page = await pages.open()
    watch.on(page)
    await page.goto(f"{live.url}/login")
    await page.locator("input[name=key]").fill(live.admin_key)
    await page.locator("main button").click()
    await page.wait_for_url(live.url + "/")
    for path in (
        "/",
        "/people",
        f"/people?tag={quote(SHORT)}&bait={SLUG}",
        f"/people/{poisoned['profile']}",
        "/campaigns",
        f"/campaigns/{poisoned['campaign']}",
        "/mailbox",
        f"/mailbox/{poisoned['mail']}",
        f"/mailbox/{poisoned['marketing']}",
        f"/mailbox/{poisoned['marketing']}/html",
        f"/people/{quote(LONG)}",
    ):
        await watch.look(page, path)
    assert "<script>alert(1)</script>" in await _shown(page, live, poisoned["profile"])
    assert {"/", "/people", "/campaigns", "/mailbox"} <= set(watch.seen)


async def _shown(page: Page, live: Embedded, profile: str) -> str:
    """The payload has to be there, as text: else this test shows nothing."""
    await page.goto(f"{live.url}/people/{profile}")
    return str(await page.locator("main").text_content())


async def test_the_script_on_other_sites_draws_texts_as_texts(
    live: Embedded, poisoned: dict[str, str], pages: Pages
) -> None:
    watch = Watch(live.url)
    page = await pages.open()
    watch.on(page)
    with site() as shop:
        await page.goto(
            shop.put("/", f"<script src='{live.url}/embed.js' data-bait='{SLUG}'></script>")
        )
        await page.get_by_role("button").wait_for()
    assert "<script>alert(1)</script>" in await page.locator("h2").inner_text()
    await watch.examine(page)


def test_a_file_is_only_ever_saved(live: Embedded, poisoned: dict[str, str]) -> None:
    """An uploaded page is not drawn in our name, whatever it is called."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=PATIENCE) as public:
        opened = public.post(poisoned["link"])
        path = next(part for part in opened.text.split('"') if "/file" in part)
        given = public.get(path.partition("url=")[2] or path)
    assert given.status_code == 200
    assert given.headers["content-disposition"].startswith("attachment;")
    assert given.headers["x-content-type-options"] == "nosniff"
    assert "html" not in given.headers["content-type"]
    assert "\r" not in given.headers["content-disposition"]

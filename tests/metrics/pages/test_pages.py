"""The start page and the log-in, as a visitor meets them."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from services.metrics.pages.endpoints import _inside
from tests.metrics.bench import Bench, drawn, open_bench, submitted

FROM_HERE = {"sec-fetch-site": "same-origin"}


async def log_in(bench: Bench, key: str, **form: str) -> httpx.Response:
    return await bench.client.post("/login", data={"key": key, **form}, headers=FROM_HERE)


@pytest.fixture
async def key(bench: Bench) -> str:
    return await bench.ground.keys.create("operator", ["read"])


async def test_anyone_sees_state_and_log_in_and_no_figure(bench: Bench) -> None:
    await bench.sent(UUID(int=5), campaign_name="Secret sale")
    for language, word in (("zh", "正常运行"), ("en", "ready")):
        page = await bench.client.get(f"/?lang={language}")
        assert page.status_code == 200
        assert word in page.text
        assert 'name="key"' in page.text
        assert "Secret sale" not in page.text
        assert "<table" not in page.text
    assert (await bench.client.get("/?part=live")).text.count("Secret") == 0


async def test_a_key_opens_the_figures_and_log_out_closes_them(bench: Bench, key: str) -> None:
    await bench.tell(drawn(UUID(int=1), 8), submitted(UUID(int=2), UUID(int=1), "k" * 40))
    await bench.sent(UUID(int=5), campaign_name='<script>alert("x")</script>')
    answer = await log_in(bench, key)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    page = (await bench.client.get("/?lang=en")).text
    assert "guide" in page
    assert "12.5 %" in page
    assert "<script>alert" not in page
    assert "Parked records" in page
    live = (await bench.client.get("/?part=live&lang=en")).text
    assert "<html" not in live
    assert "12.5 %" in live
    assert (await bench.client.post("/logout", headers=FROM_HERE)).status_code == 303
    assert 'name="key"' in (await bench.client.get("/")).text


async def test_the_newest_campaigns_are_shown_however_many_there_are(
    bench: Bench, key: str
) -> None:
    """By when they were heard of, not by their ids."""
    for number in range(7):
        await bench.sent(UUID(int=100 - number), campaign_name=f"Offer no. {number}")
        bench.clock.advance(60)
    await log_in(bench, key)
    page = (await bench.client.get("/?lang=en")).text
    shown = [number for number in range(7) if f"Offer no. {number}" in page]
    assert shown == [2, 3, 4, 5, 6]
    assert page.index("Offer no. 6") < page.index("Offer no. 2")


async def test_the_cookie_is_for_the_browser_alone(bench: Bench, key: str, tmp_path: Path) -> None:
    cookie = (await log_in(bench, key)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    async with open_bench(tmp_path / "s", public_url="https://mail.example") as other:
        secret = await other.ground.keys.create("operator", ["admin"])
        assert "Secure" in (await log_in(other, secret)).headers["set-cookie"]


async def test_wrong_keys_are_refused_alike_and_not_for_ever(bench: Bench, key: str) -> None:
    report = await bench.ground.keys.create("shop", ["report"])
    answers = [await log_in(bench, secret) for secret in ("bw_wrong", "", report)]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert "set-cookie" not in answers[0].headers
    for _ in range(7):
        await log_in(bench, "bw_wrong")
    answer = await log_in(bench, key)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    bench.clock.advance(61)
    assert (await log_in(bench, key)).status_code == 303


async def test_nobody_logs_a_visitor_in_from_another_site(bench: Bench, key: str) -> None:
    for path in ("/login", "/logout"):
        answer = await bench.client.post(
            path, data={"key": key}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/people?tag=a", "/people?tag=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nset-cookie:x", "/a%0D%0Aset-cookie:x"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_the_log_in_leads_nowhere_else(asked: str | None, led_to: str) -> None:
    assert _inside(asked) == led_to


async def test_after_the_log_in_the_visitor_goes_on(bench: Bench, key: str) -> None:
    page = await bench.client.get("/login?next=/people")
    assert 'value="/people"' in page.text
    assert (await log_in(bench, key, next="/people")).headers["location"] == "/people"


class Outline(HTMLParser):
    """What a screen reader goes by: labels, headings, names."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("id"):
            self.ids.append(values["id"] or "")
        for name in ("for", "aria-labelledby", "aria-describedby"):
            self.labelled += (values.get(name) or "").split()
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))


@pytest.mark.parametrize("path", ["/", "/login"])
async def test_every_label_has_its_thing(bench: Bench, key: str, path: str) -> None:
    await bench.sent(UUID(int=5))
    await bench.tell(drawn(UUID(int=1), 8))
    for logged_in in (False, True):
        if logged_in:
            await log_in(bench, key)
        outline = Outline()
        outline.feed((await bench.client.get(path)).text)
        assert len(set(outline.ids)) == len(outline.ids)
        assert set(outline.labelled) <= set(outline.ids)
        assert outline.headings[0] == 1
        assert outline.headings.count(1) == 1


async def test_the_other_language_keeps_what_the_address_says(bench: Bench) -> None:
    page = (await bench.client.get("/login?next=/people%3Ftag%3Da%26b&lang=en")).text
    (kept,) = re.findall(r'<a href="([^"]+)" hreflang', page)
    assert html.unescape(kept) == "?next=/people%3Ftag%3Da%26b&lang=zh"
    (bare,) = re.findall(r'<a href="([^"]+)" hreflang', (await bench.client.get("/")).text)
    assert bare == "?lang=en"

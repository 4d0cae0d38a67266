"""`/b/{slug}`: the page that works everywhere."""

import html
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.capture.system import CaptureSystem

ENGLISH = {"accept-language": "en", "accept": "text/html"}
CHINESE = {"accept-language": "zh-CN,zh;q=0.9", "accept": "text/html"}
CONSENT = {"purpose": "marketing", "channel": "email", "text": "News by mail", "version": "7"}
EVERYTHING = [
    {"name": "company", "label": "Company", "required": True},
    {"name": "notes", "label": "Notes", "lines": True, "longest": 500},
    {"name": "staff_count", "label": "Staff", "type": "integer"},
    {"name": "budget", "label": "Budget", "type": "number"},
    {"name": "start", "label": "Start", "type": "date"},
    {"name": "member", "label": "Member", "type": "boolean"},
    {
        "name": "size",
        "label": "Size",
        "type": "choice",
        "choices": [{"value": v, "label": v.upper()} for v in ("s", "m", "l")],
    },
    {
        "name": "land",
        "label": "Land",
        "type": "choice",
        "choices": [{"value": str(n), "label": f"Land {n}"} for n in range(8)],
    },
    {
        "name": "needs",
        "label": "Needs",
        "type": "multi_choice",
        "choices": [{"value": "box", "label": "Boxes"}, {"value": "bag", "label": "Bags"}],
    },
]


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: html.unescape(value) for name, value in found}


def error_of(page: str, name: str) -> str | None:
    found = re.search(rf'<p class="error" id="e-{re.escape(name)}">([^<]+)</p>', page)
    return found.group(1) if found else None


class TestDrawn:
    async def test_it_is_small_whole_and_private(self, capture: CaptureSystem) -> None:
        await capture.bait(fields=EVERYTHING, consents=[CONSENT])
        page = await capture.client.get("/b/guide", headers=ENGLISH)
        assert page.status_code == 200
        assert len(page.content) < 20_000
        assert "<script" not in page.text
        assert "src=" not in page.text
        assert "set-cookie" not in page.headers
        assert "default-src 'none'" in page.headers["content-security-policy"]

    async def test_texts_are_the_baits_and_words_around_the_visitors(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(description="First line\n\nSecond line")
        chinese = await capture.client.get("/b/guide", headers=CHINESE)
        assert '<html lang="zh-CN">' in chinese.text
        assert "马上领取" in chinese.text
        assert '<div class="lead" lang="en">' in chinese.text
        assert "<p>First line</p>" in chinese.text
        english = await capture.client.get("/b/guide?lang=en", headers=CHINESE)
        assert "Get it now" in english.text
        assert 'action="/b/guide?lang=en"' in english.text

    async def test_consent_is_never_ticked_and_never_needed(self, capture: CaptureSystem) -> None:
        await capture.bait(consents=[CONSENT])
        page = (await capture.client.get("/b/guide")).text
        (box,) = re.findall(r'<input type="checkbox"[^>]*>', page)
        assert "checked" not in box
        assert "required" not in box

    async def test_every_text_is_escaped(self, capture: CaptureSystem) -> None:
        nasty = "<script>alert(1)</script>\"'&"
        await capture.bait(
            title=nasty,
            description=nasty,
            fields=[{"name": "x", "label": nasty}],
            consents=[{**CONSENT, "text": nasty}],
        )
        page = await capture.client.get(
            "/b/guide",
            params={"utm_source": nasty},
            headers={"referer": 'https://x.example/"><script>'},
        )
        assert "<script" not in page.text

    async def test_unknown_is_a_page_of_our_own(self, capture: CaptureSystem) -> None:
        page = await capture.client.get("/b/nothing", headers=ENGLISH)
        assert page.status_code == 404
        assert "text/html" in page.headers["content-type"]
        assert "There is no such offer" in page.text


class TestPosted:
    async def test_one_field_is_enough(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await capture.client.post(
            "/b/guide", data={"email": "li@shop.example"}, headers=ENGLISH
        )
        assert response.status_code == 303
        assert response.headers["location"].startswith("/b/guide/thanks?t=")
        (said,) = await capture.said("lead.submitted")
        assert said["data"]["proof"]["way"] == "page"
        assert said["data"]["language"] == "en"

    async def test_every_kind_of_field_comes_through(self, capture: CaptureSystem) -> None:
        await capture.bait(fields=EVERYTHING, consents=[CONSENT])
        response = await capture.client.post(
            "/b/guide",
            data={
                "email": "li@shop.example",
                "company": "示例公司",
                "notes": "one\r\ntwo",
                "staff_count": "１２",
                "budget": "9.50",
                "start": "2026-05-01",
                "member": "yes",
                "size": "m",
                "land": "7",
                "needs": ["bag", "box"],
                "consent.marketing.email": "yes",
            },
        )
        assert response.status_code == 303
        (said,) = await capture.said("lead.submitted")
        assert said["data"]["fields"] == {
            "company": "示例公司",
            "notes": "one\ntwo",
            "staff_count": 12,
            "budget": 9.5,
            "start": "2026-05-01",
            "member": True,
            "size": "m",
            "land": "7",
            "needs": ["box", "bag"],
        }
        assert said["data"]["consents"][0]["given"] is True

    async def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(fields=EVERYTHING, consents=[CONSENT])
        response = await capture.client.post(
            "/b/guide",
            data={
                "email": "nobody<at>shop",
                "notes": "keep me",
                "size": "m",
                "needs": ["bag"],
                "staff_count": "many",
                "consent.marketing.email": "yes",
            },
            headers=CHINESE,
        )
        page = response.text
        assert response.status_code == 422
        assert error_of(page, "email") == "请填写有效的邮箱地址。"
        assert error_of(page, "company") == "请填写此项。"
        assert error_of(page, "staff_count") == "请填写整数。"
        assert 'value="nobody&lt;at&gt;shop"' in page
        assert ">keep me</textarea>" in page
        assert re.search(r'type="radio" name="size" value="m" checked', page)
        assert re.search(r'name="needs" value="bag" checked', page)
        assert re.search(r'name="consent.marketing.email" value="yes" checked', page)
        assert 'aria-invalid="true" aria-describedby="e-email"' in page
        assert len(response.content) < 20_000
        assert await capture.leads() == []

    async def test_where_the_visitor_came_from_is_carried(self, capture: CaptureSystem) -> None:
        await capture.bait()
        page = await capture.client.get(
            "/b/guide?utm_source=poster&utm_campaign=spring&x=1",
            headers={"referer": "https://search.example/q?who=li"},
        )
        await capture.client.post(
            "/b/guide", data={**fields(page.text), "email": "li@shop.example"}
        )
        (said,) = await capture.said("lead.submitted")
        assert said["data"]["source"] == {
            "utm_source": "poster",
            "utm_campaign": "spring",
            "referrer": "https://search.example/q",
            "landing_page": "http://testserver/b/guide",
        }

    async def test_the_button_pressed_twice_is_one_lead(self, capture: CaptureSystem) -> None:
        await capture.bait()
        hidden = fields((await capture.client.get("/b/guide")).text)
        first = await capture.client.post("/b/guide", data={**hidden, "email": "a@shop.example"})
        second = await capture.client.post("/b/guide", data={**hidden, "email": "a@shop.example"})
        other = await capture.client.post("/b/guide", data={**hidden, "email": "b@shop.example"})
        assert first.headers["location"] == second.headers["location"]
        assert other.headers["location"] != first.headers["location"]
        assert len(await capture.leads()) == 2

    async def test_an_old_page_is_held_against_its_own_form(self, capture: CaptureSystem) -> None:
        await capture.bait(consents=[CONSENT])
        hidden = fields((await capture.client.get("/b/guide")).text)
        await capture.change("guide", fields=EVERYTHING[:1])
        response = await capture.client.post(
            "/b/guide",
            data={**hidden, "email": "a@shop.example", "consent.marketing.email": "yes"},
        )
        assert response.status_code == 303
        (said,) = await capture.said("lead.submitted")
        assert said["data"]["bait_version"] == 1


class TestThanks:
    async def thanks(
        self, capture: CaptureSystem, slug: str = "guide", **data: str
    ) -> tuple[str, str | None]:
        """The page after a post, and the token of its button."""
        posted = await capture.client.post(f"/b/{slug}", data=data, headers=ENGLISH)
        page = await capture.client.get(posted.headers["location"], headers=ENGLISH)
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        return page.text, fields(page.text).get("t")

    async def test_verified_release_gives_nothing_here(self, capture: CaptureSystem) -> None:
        await capture.bait(release="verified")
        page, token = await self.thanks(capture, email="li@shop.example")
        assert "on its way to the address you left" in page
        assert token is None
        assert "li@shop.example" not in page

    async def test_release_at_once_gives_it_here_too(self, capture: CaptureSystem) -> None:
        await capture.bait(release="at_once")
        _, token = await self.thanks(capture, email="li@shop.example")
        assert token is not None
        assert await capture.said("lead.opened") == []
        for _ in range(2):
            opened = await capture.client.post("/b/guide/thanks", data={"t": token})
            assert "All about guide" in opened.text
        assert len(await capture.said("lead.opened")) == 1
        assert await capture.said("lead.verified") == []

    @pytest.mark.parametrize("allowed", [True, False])
    async def test_contacts_that_nothing_reaches(
        self, capture: CaptureSystem, allowed: bool
    ) -> None:
        await capture.bait(contacts=["wechat_id"], others_on_page=allowed)
        page, token = await self.thanks(capture, wechat_id="li-na_2026")
        assert (token is not None) is allowed
        assert ("we will be in touch" not in page.lower()) or not allowed

    async def test_no_other_token_opens_it(self, capture: CaptureSystem) -> None:
        await capture.bait(release="at_once")
        await capture.bait("secret", release="verified")
        _, token = await self.thanks(capture, email="li@shop.example")
        await capture.client.post("/b/secret", data={"email": "li@shop.example"})
        mail_token = (await capture.link("secret")).removeprefix("/r/")
        for slug, wrong in (
            ("secret", token),
            ("secret", mail_token),
            ("guide", mail_token),
            ("guide", "nonsense"),
            ("guide", ""),
            ("guide", "A" * 500),
        ):
            opened = await capture.client.post(f"/b/{slug}/thanks", data={"t": wrong})
            assert opened.status_code == 404, (slug, wrong)
            looked = await capture.client.get(f"/b/{slug}/thanks", params={"t": wrong or ""})
            assert looked.status_code == 200
            assert fields(looked.text) == {}
        assert token is not None
        assert (await capture.client.post(f"/r/{token}")).status_code == 404
        assert await capture.said("lead.verified") == []
        assert await capture.said("lead.opened") == []

    async def test_a_revoked_lead_gets_nothing(self, capture: CaptureSystem) -> None:
        await capture.bait(release="at_once")
        _, token = await self.thanks(capture, email="li@shop.example")
        lead = (await capture.leads())[0]
        await capture.client.post(f"/v1/leads/{lead.id}/revoke", headers=capture.admin)
        opened = await capture.client.post("/b/guide/thanks", data={"t": token})
        assert opened.status_code == 404


class TestQr:
    async def test_it_is_a_picture_of_the_address(self, capture: CaptureSystem) -> None:
        await capture.bait()
        plain = await capture.client.get("/b/guide/qr.svg")
        assert plain.headers["content-type"] == "image/svg+xml"
        assert plain.content.startswith(b"<svg")
        tagged = await capture.client.get("/b/guide/qr.svg?utm_source=poster&other=1")
        assert tagged.content != plain.content
        assert (await capture.client.get("/b/nothing/qr.svg")).status_code == 404


async def test_the_language_chosen_by_hand_stays(capture: CaptureSystem) -> None:
    await capture.bait()
    posted = await capture.client.post(
        "/b/guide?lang=en", data={"email": "li@shop.example"}, headers=CHINESE
    )
    query = parse_qs(urlsplit(posted.headers["location"]).query)
    assert query["lang"] == ["en"]


def other_language(page: str) -> str:
    """Where the link to the other language leads."""
    (found,) = re.findall(r'<footer><a href="([^"]+)"', page)
    return html.unescape(found)


async def test_the_other_language_is_one_press_away_and_forgets_nothing(
    capture: CaptureSystem,
) -> None:
    await capture.bait(release="at_once")
    page = await capture.client.get("/b/guide?utm_source=w%20x", headers=CHINESE)
    assert other_language(page.text) == "?utm_source=w+x&lang=en"
    page = await capture.client.get("/b/guide?utm_source=w+x&lang=en", headers=CHINESE)
    assert other_language(page.text) == "?utm_source=w+x&lang=zh"
    assert fields(page.text)["utm_source"] == "w x"
    form = {**fields(page.text), "email": "li@shop.example"}
    answer = await capture.client.post("/b/guide", data=form, headers=CHINESE)
    thanks = await capture.client.get(answer.headers["location"], headers=CHINESE)
    assert "马上打开" in thanks.text
    address = f"/b/guide/thanks{other_language(thanks.text)}"
    assert "Open it now" in (await capture.client.get(address, headers=CHINESE)).text

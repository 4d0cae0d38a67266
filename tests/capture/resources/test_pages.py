"""`/r/{token}`: the page behind the link of a bait mail."""

import random
import re
from pathlib import Path
from typing import Any

from tests.capture.system import CaptureSystem, MovedClock, capture_system

HTML = {"accept": "text/html", "accept-language": "en"}


async def asked_for(capture: CaptureSystem, slug: str = "guide", **document: Any) -> str:
    """A bait, a lead of it, and the link in its mail."""
    await capture.bait(slug, **document)
    assert (await capture.post(slug)).status_code == 202
    return await capture.link(slug)


class TestLook:
    async def test_looking_changes_nothing(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        for method in ("GET", "HEAD", "GET"):
            page = await capture.client.request(method, link, headers=HTML)
            assert page.status_code == 200
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["cache-control"] == "no-store"
        assert "All about guide" not in page.text
        assert page.text.count("<button>") == 1
        assert await capture.said("lead.verified") == []
        (lead,) = await capture.leads()
        assert lead.verified_at is None

    async def test_a_wrong_token_is_not_found_and_not_shown(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        token = link.removeprefix("/r/")
        flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
        for wrong in (
            flipped,
            token[:-2],
            token + "A",
            "nonsense-token",
            "AAAA" * 20,
            token.swapcase(),
        ):
            for method in ("GET", "POST"):
                page = await capture.client.request(method, f"/r/{wrong}", headers=HTML)
                assert page.status_code == 404
                assert wrong not in page.text
        assert await capture.said("lead.opened") == []

    async def test_ten_thousand_mutated_links_open_nothing(self, capture: CaptureSystem) -> None:
        """S1: letters changed, cut, swapped and added, and what elsewhere leads to files, from a seed."""
        chance = random.Random(20260302)
        token = (await asked_for(capture)).removeprefix("/r/")
        letters = "ABCabc019-_"
        files = ("../", "..%2f", "%2e%2e/", "/etc/passwd", "%00", "..\\", "https://evil.example/")
        for number in range(10_000):
            place, other = chance.randrange(len(token)), chance.randrange(len(token))
            wrong = [
                token[:place] + chance.choice(letters) + token[place + 1 :],
                token[:place] + token[place + chance.randrange(1, 4) :],
                token[:place] + chance.choice(files) + token[place:],
                token[:place] + token[other] + token[place + 1 :],
                chance.choice(files) * chance.randrange(1, 4) + token,
            ][number % 5]
            if wrong == token:
                continue
            method = "POST" if number % 2 else "GET"
            page = await capture.client.request(method, f"/r/{wrong}")
            assert page.status_code in (404, 405, 422), (method, wrong, page.status_code)
            assert "location" not in page.headers
            assert "All about guide" not in page.text
        assert await capture.said("lead.opened") == []

    async def test_the_other_language_is_one_press_away(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        await asked_for(capture, "second")
        page = await capture.client.get(link, headers=HTML)
        assert '<footer><a href="?lang=zh" lang="zh-CN">中文</a></footer>' in page.text
        page = await capture.client.get(f"{link}?lang=zh", headers=HTML)
        assert '<html lang="zh-CN">' in page.text
        assert "打开" in page.text
        others = re.findall(r'<form method="post" action="([^"]+)"', page.text)
        for address in (f"{link}?lang=zh", *others):
            opened = await capture.client.post(address, headers=HTML)
            assert '<html lang="zh-CN">' in opened.text
        assert len(others) == 1


class TestOpen:
    async def test_the_button_verifies_opens_and_counts_once(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        for _ in range(3):
            page = await capture.client.post(link, headers=HTML)
            assert page.status_code == 200
            assert "All about guide" in page.text
        (verified,) = await capture.said("lead.verified")
        (opened,) = await capture.said("lead.opened")
        (lead,) = await capture.leads()
        assert verified["data"] == {
            "lead_id": str(lead.id),
            "bait_id": str(lead.bait_id),
            "contact_key": lead.contact_key,
        }
        assert opened["key"] == lead.contact_key
        assert lead.verified_at is not None
        assert lead.opened_at is not None

    async def test_an_address_is_gone_to_without_saying_from_where(
        self, capture: CaptureSystem
    ) -> None:
        link = await asked_for(
            capture, resource={"kind": "url", "url": "https://files.example/a.pdf?x=1"}
        )
        page = await capture.client.get(link, headers=HTML)
        # browsers hold the redirect after a post against the page's form-action
        assert "form-action *" in page.headers["content-security-policy"]
        answer = await capture.client.post(link, headers=HTML)
        assert answer.status_code == 303
        assert answer.headers["location"] == "https://files.example/a.pdf?x=1"
        assert answer.headers["referrer-policy"] == "no-referrer"

    async def test_a_file_is_had_by_a_short_lived_link(self, tmp_path: Path) -> None:
        clock = MovedClock()
        async with capture_system(tmp_path, clock=clock) as capture:
            link = await asked_for(capture)
            data = b"%PDF-" + b"x" * 600_000
            await capture.client.put(
                "/v1/baits/guide/resource",
                files={"file": ("报价.pdf", data, "application/pdf")},
                headers={**capture.admin, "if-match": "*"},
            )
            page = (await capture.client.post(link, headers=HTML)).text
            file_link = re.findall(r'href="(/r/[^"]+/file)"', page)[0]
            assert f"1;url={file_link}" in page
            fetched = await capture.client.get(file_link)
            assert fetched.content == data
            assert fetched.headers["content-type"] == "application/pdf"
            assert (
                "filename*=UTF-8''%E6%8A%A5%E4%BB%B7.pdf" in fetched.headers["content-disposition"]
            )
            assert fetched.headers["content-security-policy"].startswith("sandbox")
            assert (await capture.client.get(f"{link}/file")).status_code == 404
            clock.days = 0.1
            late = await capture.client.get(file_link, headers=HTML)
            assert late.status_code == 410

    async def test_a_bait_without_resource_verifies_all_the_same(
        self, capture: CaptureSystem
    ) -> None:
        link = await asked_for(capture, resource=None)
        page = await capture.client.post(link, headers=HTML)
        assert "still being prepared" in page.text
        assert len(await capture.said("lead.verified")) == 1

    async def test_a_retired_bait_still_gives_what_it_promised(
        self, capture: CaptureSystem
    ) -> None:
        link = await asked_for(capture)
        await capture.client.post(
            "/v1/baits/guide/retire", headers={**capture.admin, "if-match": "*"}
        )
        assert "All about guide" in (await capture.client.post(link, headers=HTML)).text


class TestOver:
    async def test_an_expired_link_is_gone(self, tmp_path: Path) -> None:
        clock = MovedClock()
        async with capture_system(tmp_path, clock=clock) as capture:
            link = await asked_for(capture)
            clock.days = 29.9
            assert (await capture.client.get(link, headers=HTML)).status_code == 200
            clock.days = 30.1
            for method in ("GET", "POST"):
                page = await capture.client.request(method, link, headers=HTML)
                assert page.status_code == 410
            assert await capture.said("lead.verified") == []

    async def test_a_revoked_link_is_gone(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        (lead,) = await capture.leads()
        path = f"/v1/leads/{lead.id}/revoke"
        assert (await capture.client.post(path)).status_code == 401
        revoked = await capture.client.post(path, headers=capture.admin)
        again = await capture.client.post(path, headers=capture.admin)
        assert revoked.json() == again.json()
        assert revoked.json()["revoked_at"] is not None
        for method in ("GET", "POST"):
            page = await capture.client.request(method, link, headers=HTML)
            assert page.status_code == 410
        shown = await capture.client.get(f"/v1/leads/{lead.id}", headers=capture.admin)
        assert shown.json()["opened_at"] is None


class TestOthers:
    async def test_a_second_bait_asked_for_is_offered_here(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        await asked_for(capture, "prices")
        await capture.bait("unasked")
        await capture.client.post(
            "/v1/baits/unasked/leads", json={"contact": {"email": "other@shop.example"}}
        )
        page = (await capture.client.get(link, headers=HTML)).text
        assert "The prices" in page
        assert "The unasked" not in page
        other = re.findall(r'action="(/r/[^"]+)"', page)[0]
        opened = await capture.client.post(other, headers=HTML)
        assert "All about prices" in opened.text
        assert "The guide" in opened.text
        assert len(await capture.said("lead.verified")) == 1

    async def test_asked_for_twice_is_offered_once(self, capture: CaptureSystem) -> None:
        link = await asked_for(capture)
        await asked_for(capture, "prices")
        await capture.post("prices")
        await capture.post("guide")
        page = (await capture.client.get(link, headers=HTML)).text
        assert len(re.findall(r'action="/r/', page)) == 1

"""`POST /f/{slug}`: plain forms on other sites."""

from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.capture.system import CaptureSystem

HTML = {"accept": "text/html", "accept-language": "en"}
EMAIL = {"email": "li@shop.example"}


async def post(capture: CaptureSystem, slug: str = "guide", **more: Any) -> Any:
    more.setdefault("data", EMAIL)
    more["headers"] = HTML | dict(more.get("headers", {}))
    return await capture.client.post(f"/f/{slug}", **more)


class TestWays:
    async def test_urlencoded_goes_to_the_thanks_page(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await post(capture, headers={"referer": "https://shop.example/p?u=li"})
        assert response.status_code == 303
        assert response.headers["location"].startswith("/b/guide/thanks?t=")
        (said,) = await capture.said("lead.submitted")
        assert said["data"]["proof"]["way"] == "form"
        assert said["data"]["source"] == {"landing_page": "https://shop.example/p"}

    async def test_multipart_does_too_and_files_are_left_out(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await post(capture, files={"cv": ("cv.pdf", b"%PDF")})
        assert response.status_code == 303

    async def test_a_page_in_gbk_is_understood(self, capture: CaptureSystem) -> None:
        await capture.bait(fields=[{"name": "who", "label": "Who"}])
        body = "email=li%40shop.example&who=" + quote_plus("李娜", encoding="gbk")
        response = await capture.client.post(
            "/f/guide",
            content=body,
            headers={**HTML, "content-type": "application/x-www-form-urlencoded"},
        )
        assert response.status_code == 303
        assert (await capture.said("lead.submitted"))[0]["data"]["fields"] == {"who": "李娜"}

    async def test_unknown_fields_are_ignored_and_counted(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await post(capture, data={**EMAIL, "csrf": "1", "submit": "Go"})
        assert response.status_code == 303
        counted = capture.ground.registry.get_sample_value("baitwell_form_unknown_fields_total")
        assert counted == 2
        assert "csrf" not in (await capture.leads())[0].document

    async def test_only_choices_of_several_may_repeat(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await post(capture, data={"email": ["a@shop.example", "b@shop.example"]})
        assert response.status_code == 422
        assert "may appear only once" in response.text
        assert await capture.leads() == []

    async def test_as_json_when_asked(self, capture: CaptureSystem) -> None:
        await capture.bait()
        headers = {"accept": "application/json"}
        right = await capture.client.post("/f/guide", data=EMAIL, headers=headers)
        assert right.status_code == 202
        assert set(right.json()) == {"lead_id", "state"}
        assert right.headers["access-control-allow-origin"] == "*"
        wrong = await capture.client.post("/f/guide", data={"email": "x"}, headers=headers)
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["field"] == "email"
        assert wrong.json()["errors"][0]["reason"] == "not_email"
        missing = await capture.client.post("/f/nothing", data=EMAIL, headers=headers)
        assert missing.status_code == 404

    async def test_what_is_wrong_is_a_page_that_posts_again(self, capture: CaptureSystem) -> None:
        await capture.bait(origins=["https://shop.example"])
        response = await post(
            capture, data={"email": "nobody", "_next": "https://shop.example/done"}
        )
        assert response.status_code == 422
        assert 'action="/f/guide"' in response.text
        assert 'name="_next" value="https://shop.example/done"' in response.text
        assert 'value="nobody"' in response.text

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("text/plain", b"email=a@shop.example", 415),
            ("application/x-www-form-urlencoded", b"x=" + b"y" * 65_536, 413),
            ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 101), 422),
            ("application/x-www-form-urlencoded", b"email=%FF%FE%FF", 422),
            ("application/x-www-form-urlencoded", b"", 422),
            ("application/x-www-form-urlencoded", b"email=a%00%40shop.example", 422),
            ("application/x-www-form-urlencoded", b"email=a%E2%80%AE%40shop.example", 422),
            ("multipart/form-data; boundary=X", b"--X\r\nnonsense", 400),
        ],
    )
    async def test_bad_input_is_refused_with_a_page(
        self, capture: CaptureSystem, content_type: str, body: bytes, status: int
    ) -> None:
        await capture.bait()
        response = await capture.client.post(
            "/f/guide", content=body, headers={**HTML, "content-type": content_type}
        )
        assert response.status_code == status
        assert await capture.leads() == []


class TestOrigins:
    @pytest.mark.parametrize(
        ("origins", "origin", "status"),
        [
            ([], None, 303),
            ([], "null", 303),
            ([], "https://any.example", 303),
            (["https://shop.example"], None, 303),
            (["https://shop.example"], "null", 303),
            (["https://shop.example"], "https://shop.example", 303),
            (["https://shop.example"], "http://testserver", 303),
            (["https://shop.example"], "https://evil.example", 403),
            (["https://shop.example"], "https://shop.example.evil.example", 403),
        ],
    )
    async def test_a_foreign_one_is_refused_only_where_sites_are_listed(
        self, capture: CaptureSystem, origins: list[str], origin: str | None, status: int
    ) -> None:
        await capture.bait(origins=origins)
        response = await post(capture, headers={"origin": origin} if origin else {})
        assert response.status_code == status


class TestNext:
    @pytest.mark.parametrize(
        ("address", "allowed"),
        [
            ("https://shop.example/thanks?x=1", True),
            ("https://shop.example:443/thanks", True),
            ("HTTPS://SHOP.EXAMPLE/thanks", True),
            ("https://shop.example:8443/thanks", False),
            ("http://shop.example/thanks", False),
            ("https://evil.example/", False),
            ("//shop.example/", False),
            ("/b/other", False),
            ("https://shop.example@evil.example/", False),
            ("https://shop.example\\@evil.example/", False),
            ("https://evil.example#shop.example", False),
            ("https://shop.example.evil.example/", False),
            ("https://shop.example/\r\nSet-Cookie: x=1", False),
            ("javascript:alert(1)", False),
            ("https://[::1", False),
            ("https://shop.example:port/", False),
            ("https://shop.example/" + "x" * 3000, False),
        ],
    )
    async def test_only_a_listed_site_is_gone_to(
        self, capture: CaptureSystem, address: str, allowed: bool
    ) -> None:
        await capture.bait(origins=["https://shop.example"])
        response = await post(capture, data={**EMAIL, "_next": address})
        assert response.status_code == 303
        gone = response.headers["location"]
        assert gone == address if allowed else gone.startswith("/b/guide/thanks?t=")

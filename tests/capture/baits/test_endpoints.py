"""Baits by the API: made, changed, listed, retired, given a file."""

import hashlib
from typing import Any

import pytest

from tests.capture.system import CaptureSystem

MINIMAL = {"slug": "guide", "title": "The guide"}
HEIGHT = {"name": "height", "label": "Height", "type": "integer"}


def reasons(problem: dict[str, Any]) -> dict[str, str]:
    return {error["field"]: error["reason"] for error in problem["errors"]}


class TestCreate:
    async def test_a_title_is_enough_and_one_e_mail_is_asked(self, capture: CaptureSystem) -> None:
        response = await capture.client.post("/v1/baits", json=MINIMAL, headers=capture.admin)
        assert response.status_code == 201
        assert response.headers["location"] == "/v1/baits/guide"
        assert response.headers["etag"] == '"1"'
        made = response.json()
        assert made["bait"]["contacts"] == ["email"]
        assert made["state"] == "open"
        assert made["resource_state"] == "missing"
        assert made["page"] == "http://testserver/b/guide"

    async def test_the_state_says_what_becomes_of_each_contact(
        self, capture: CaptureSystem
    ) -> None:
        made = await capture.bait(contacts=["qq", "email", "phone", "wechat_id"], qq_mail=True)
        assert made["delivery"] == [
            {"channel": "qq", "connected": True, "resource": "mail"},
            {"channel": "email", "connected": True, "resource": "mail"},
            {"channel": "phone", "connected": False, "resource": "kept_only"},
            {"channel": "wechat_id", "connected": False, "resource": "kept_only"},
        ]
        made = await capture.change("guide", others_on_page=True, qq_mail=False)
        assert [d["resource"] for d in made["delivery"]] == [
            "thanks_page",
            "mail",
            "thanks_page",
            "thanks_page",
        ]

    async def test_a_slug_is_had_once(self, capture: CaptureSystem) -> None:
        await capture.bait()
        again = await capture.client.post("/v1/baits", json=MINIMAL, headers=capture.admin)
        assert again.status_code == 409
        assert reasons(again.json()) == {"slug": "taken"}

    async def test_a_field_has_one_type_in_all_baits(self, capture: CaptureSystem) -> None:
        await capture.bait(fields=[HEIGHT])
        await capture.bait("other", fields=[HEIGHT])
        response = await capture.client.post(
            "/v1/baits",
            json={"slug": "third", "title": "T", "fields": [{**HEIGHT, "type": "text"}]},
            headers=capture.admin,
        )
        assert response.status_code == 409
        assert response.json()["type"] == "urn:baitwell:problem:type-conflict"
        assert reasons(response.json()) == {"fields.height": "type_conflict"}
        missing = await capture.client.get("/v1/baits/third", headers=capture.admin)
        assert missing.status_code == 404

    @pytest.mark.parametrize(
        ("change", "field", "reason"),
        [
            ({"slug": "Not A Slug"}, "slug", "invalid"),
            ({"slug": "-x"}, "slug", "invalid"),
            ({"title": ""}, "title", "too_short"),
            ({"title": "  "}, "title", "required"),
            ({"title": "a\u202eb"}, "title", "forbidden_characters"),
            ({"title": "=?utf-8?q?x?="}, "title", "forbidden_characters"),
            ({"title": 5}, "title", "not_text"),
            ({"surprise": 1}, "surprise", "unknown_field"),
            ({"contacts": []}, "contacts", "too_short"),
            ({"contacts": ["email", "email"]}, "contacts", "repeated_field"),
            ({"origins": ["https://shop.example/path"]}, "origins.0", "not_url"),
            ({"origins": ["ftp://shop.example"]}, "origins.0", "not_url"),
            ({"staff": ["nobody"]}, "staff.0", "not_email"),
            (
                {"resource": {"kind": "url", "url": "javascript:alert(1)"}},
                "resource.url.url",
                "not_url",
            ),
            (
                {"resource": {"kind": "url", "url": "https://a:b@c.example"}},
                "resource.url.url",
                "not_url",
            ),
            (
                {"resource": {"kind": "file", "sha256": "0" * 64, "name": "x.pdf"}},
                "resource.sha256",
                "no_such_thing",
            ),
            ({"fields": [{"name": "email", "label": "E"}]}, "fields.0.name", "taken"),
            ({"fields": [{"name": "utm_x", "label": "E"}]}, "fields.0.name", "taken"),
            ({"fields": [{"name": "x", "label": "X", "type": "choice"}]}, "fields.0", "not_choice"),
            ({"fields": [HEIGHT, HEIGHT]}, "fields", "repeated_field"),
            (
                {
                    "consents": [
                        {
                            "purpose": "marketing",
                            "channel": "email",
                            "text": "News",
                            "version": "1",
                            "required": True,
                        }
                    ]
                },
                "consents.0",
                "invalid",
            ),
            (
                {"valid_from": "2026-03-02T00:00:00Z", "valid_to": "2026-03-01T00:00:00Z"},
                "body",
                "out_of_range",
            ),
            ({"valid_from": "2026-03-02T00:00:00"}, "valid_from", "invalid"),
        ],
    )
    async def test_what_is_wrong_is_told_by_field(
        self, capture: CaptureSystem, change: dict[str, Any], field: str, reason: str
    ) -> None:
        response = await capture.client.post(
            "/v1/baits", json={**MINIMAL, **change}, headers=capture.admin
        )
        assert response.status_code == 422
        assert reasons(response.json()) == {field: reason}

    async def test_only_admins_make_baits(self, capture: CaptureSystem) -> None:
        reader = await capture.ground.keys.create("reader", ["read"])
        for headers, status in (({}, 401), ({"authorization": f"Bearer {reader}"}, 403)):
            response = await capture.client.post("/v1/baits", json=MINIMAL, headers=headers)
            assert response.status_code == status


class TestChange:
    async def test_a_change_is_a_new_version_and_the_old_one_stays(
        self, capture: CaptureSystem
    ) -> None:
        made = await capture.bait()
        changed = await capture.client.put(
            "/v1/baits/guide",
            json={**made["bait"], "title": "Another"},
            headers={**capture.admin, "if-match": '"1"'},
        )
        assert changed.json()["version"] == 2
        assert changed.headers["etag"] == '"2"'
        old = await capture.client.get("/v1/baits/guide/versions/1", headers=capture.admin)
        assert old.json()["bait"]["title"] == "The guide"
        none = await capture.client.get("/v1/baits/guide/versions/3", headers=capture.admin)
        assert none.status_code == 404

    async def test_it_needs_the_version_that_it_changes(self, capture: CaptureSystem) -> None:
        bait = (await capture.bait())["bait"]
        await capture.change("guide", title="Second")
        for tag, status in ((None, 428), ('"1"', 412), ("nonsense", 412), ("*", 200)):
            headers = capture.admin | ({"if-match": tag} if tag else {})
            response = await capture.client.put("/v1/baits/guide", json=bait, headers=headers)
            assert response.status_code == status, tag

    async def test_visitors_see_it_at_once(self, capture: CaptureSystem) -> None:
        await capture.bait()
        assert "The guide" in (await capture.client.get("/b/guide")).text
        await capture.change("guide", title="Quite another")
        assert "Quite another" in (await capture.client.get("/b/guide")).text


class TestList:
    async def test_pages_follow_each_other_by_slug(self, capture: CaptureSystem) -> None:
        for slug in ("b", "a", "c"):
            await capture.bait(slug)
        first = (await capture.client.get("/v1/baits?limit=2", headers=capture.admin)).json()
        assert [item["slug"] for item in first["items"]] == ["a", "b"]
        rest = await capture.client.get(
            f"/v1/baits?limit=2&after={first['next']}", headers=capture.admin
        )
        assert [item["slug"] for item in rest.json()["items"]] == ["c", "welcome"]
        assert rest.json()["next"] is None


class TestRetire:
    async def test_its_form_closes_and_it_cannot_be_changed(self, capture: CaptureSystem) -> None:
        bait = (await capture.bait())["bait"]
        for _ in range(2):
            retired = await capture.client.post(
                "/v1/baits/guide/retire", headers={**capture.admin, "if-match": "*"}
            )
            assert retired.status_code == 200
            assert retired.json()["state"] == "retired"
        assert (await capture.post()).status_code == 410
        assert (await capture.client.get("/b/guide")).status_code == 410
        assert (await capture.client.get("/v1/baits/guide/form")).status_code == 410
        changed = await capture.client.put(
            "/v1/baits/guide", json=bait, headers={**capture.admin, "if-match": "*"}
        )
        assert changed.status_code == 409


class TestUpload:
    async def upload(
        self, capture: CaptureSystem, data: bytes, name: str = "报价.pdf", **more: Any
    ) -> Any:
        return await capture.client.put(
            "/v1/baits/guide/resource",
            files={"file": (name, data, more.pop("media_type", "application/pdf"))},
            headers={**capture.admin, "if-match": "*"},
            **more,
        )

    async def test_a_file_is_kept_once_under_its_hash(self, capture: CaptureSystem) -> None:
        await capture.bait()
        data = bytes(range(256)) * 3000
        response = await self.upload(capture, data)
        assert response.status_code == 200
        resource = response.json()["bait"]["resource"]
        assert resource == {
            "kind": "file",
            "sha256": hashlib.sha256(data).hexdigest(),
            "name": "报价.pdf",
            "media_type": "application/pdf",
            "size": len(data),
        }
        assert response.json()["version"] == 2
        again = await self.upload(capture, data, name="other.pdf")
        assert again.json()["bait"]["resource"]["sha256"] == resource["sha256"]
        fetched = await capture.client.get("/v1/baits/guide/resource", headers=capture.admin)
        assert fetched.content == data
        assert fetched.headers["content-length"] == str(len(data))
        assert fetched.headers["x-content-type-options"] == "nosniff"
        assert fetched.headers["content-security-policy"].startswith("sandbox")
        assert fetched.headers["content-disposition"].startswith("attachment;")

    async def test_a_page_is_kept_as_bytes(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await self.upload(capture, b"<script>", "x.html", media_type="text/html")
        assert response.json()["bait"]["resource"]["media_type"] == "application/octet-stream"

    async def test_more_than_25_mb_are_refused_while_reading(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await self.upload(capture, b"x" * (25 * 1024 * 1024 + 1))
        assert response.status_code == 413
        shown = await capture.client.get("/v1/baits/guide", headers=capture.admin)
        assert shown.json()["bait"]["resource"]["kind"] == "text"

    async def test_25_mb_are_taken(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await self.upload(capture, b"x" * (25 * 1024 * 1024))
        assert response.status_code == 200

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("multipart/form-data", b"", 400),
            ("multipart/form-data; boundary=X", b"nonsense", 400),
            ("multipart/form-data; boundary=X", b"--X--\r\n", 422),
            (
                "multipart/form-data; boundary=X",
                b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf',
                400,
            ),
            (
                "multipart/form-data; boundary=X",
                b'--X\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--X--\r\n',
                422,
            ),
        ],
    )
    async def test_other_bodies_are_refused(
        self, capture: CaptureSystem, content_type: str, body: bytes, status: int
    ) -> None:
        await capture.bait()
        response = await capture.client.post(
            "/v1/baits/guide/resource",
            content=body,
            headers={**capture.admin, "if-match": "*", "content-type": content_type},
        )
        assert response.status_code == status

    async def test_nobody_else_may(self, capture: CaptureSystem) -> None:
        await capture.bait()
        response = await capture.client.put(
            "/v1/baits/guide/resource", files={"file": ("a", b"x")}, headers={"if-match": "*"}
        )
        assert response.status_code == 401

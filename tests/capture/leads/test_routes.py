"""`POST /v1/baits/{slug}/leads`."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.capture.app import KIND
from services.shared.events import decode
from services.shared.events.envelope import Record
from tests.capture.system import CaptureSystem, capture_system

CONSENT = {"purpose": "marketing", "channel": "email", "text": "News by mail", "version": "7"}
FIELDS = [
    {"name": "company", "label": "Company", "required": True},
    {"name": "size", "label": "Size", "type": "integer"},
    {
        "name": "needs",
        "label": "Needs",
        "type": "multi_choice",
        "choices": [{"value": "box", "label": "Boxes"}, {"value": "bag", "label": "Bags"}],
    },
]


def reasons(problem: dict[str, Any]) -> dict[str, str]:
    return {error["field"]: error["reason"] for error in problem.get("errors", [])}


class TestAccepted:
    async def test_the_lead_is_written_with_all_it_causes(self, capture: CaptureSystem) -> None:
        bait = await capture.bait(
            fields=FIELDS,
            consents=[CONSENT],
            tags=["prices"],
            staff=["sales@shop.example", "boss@shop.example"],
            sender="Li Na",
        )
        response = await capture.post(
            contact={"email": "Li.Na@Shop.Example"},
            fields={"company": "示例公司", "size": 12, "needs": ["bag"]},
            consents={"marketing.email": True},
            source={
                "utm_source": "wechat",
                "referrer": "https://me:pw@search.example/find?q=li.na@shop.example#x",
                "landing_page": "https://shop.example/guide?token=1",
            },
            language="zh-CN",
        )
        assert response.status_code == 202
        answer = response.json()
        assert set(answer) == {"lead_id", "state"}
        assert answer["state"] == "accepted"
        submitted, mail, *notices = await capture.said()
        data = submitted["data"]
        assert submitted["key"] == data["contacts"][0]["contact_key"]
        assert data["lead_id"] == answer["lead_id"]
        assert data["bait_id"] == bait["id"]
        assert data["contacts"][0]["address"] == "Li.Na@shop.example"
        assert data["contacts"][0]["identity"] == "li.na@shop.example"
        assert data["fields"] == {"company": "示例公司", "size": 12, "needs": ["bag"]}
        assert data["field_types"] == {
            "company": "text",
            "size": "integer",
            "needs": "multi_choice",
        }
        assert data["tags"] == ["prices"]
        assert data["source"] == {
            "utm_source": "wechat",
            "referrer": "https://search.example/find",
            "landing_page": "https://shop.example/guide",
        }
        (consent,) = data["consents"]
        assert consent["given"] is True
        assert consent["text_version"] == "7"
        assert data["proof"]["way"] == "api"
        assert data["proof"]["form_version"] == 1
        assert "203.0.113.7" not in json.dumps(data)
        assert mail["data"]["cause"] == {"kind": "lead", "id": answer["lead_id"]}
        assert mail["data"]["template"] == "bait_mail"
        assert mail["data"]["verified"] is False
        assert mail["data"]["values"]["bait_title"] == "The guide"
        assert mail["data"]["values"]["sender"] == "Li Na"
        assert mail["data"]["values"]["link"].startswith("http://testserver/r/")
        assert "示例公司" not in json.dumps(mail["data"], ensure_ascii=False)
        assert [n["data"]["contact"]["address"] for n in notices] == [
            "sales@shop.example",
            "boss@shop.example",
        ]
        assert {n["data"]["cause"]["kind"] for n in notices} == {"notice"}
        assert {n["data"]["template"] for n in notices} == {"lead_notice"}
        (lead,) = await capture.leads()
        assert json.loads(lead.document) == data

    async def test_what_is_written_directly_reads_as_the_events_say(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(fields=FIELDS, consents=[CONSENT], staff=["sales@shop.example"])
        await capture.post(
            fields={"company": "X"}, consents={"marketing.email": True}, source={"utm_term": "a"}
        )
        for number, said in enumerate(await capture.said()):
            headers = (
                ("ce_type", said["type"]),
                ("ce_id", said["id"]),
                ("ce_time", "2026-03-02T04:00:00Z"),
            )
            value = json.dumps(said["data"]).encode()
            received = decode(Record(said["topic"], 0, number, said["key"], headers, value))
            assert received is not None
            assert received.event.topic == said["topic"]
            written = json.loads(received.event.model_dump_json())
            assert {k: v for k, v in written.items() if k not in ("source", "consents")} == {
                k: v for k, v in said["data"].items() if k not in ("source", "consents")
            }

    async def test_a_consent_not_given_is_not_said(self, capture: CaptureSystem) -> None:
        await capture.bait(consents=[CONSENT])
        await capture.post(consents={"marketing.email": False})
        await capture.post()
        assert [s["data"]["consents"] for s in await capture.said("lead.submitted")] == [[], []]

    async def test_consent_for_a_channel_that_was_not_left_does_not_count(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(contacts=["email", "phone"], consents=[{**CONSENT, "channel": "phone"}])
        await capture.post(consents={"marketing.phone": True})
        assert (await capture.said("lead.submitted"))[0]["data"]["consents"] == []

    async def test_the_lead_names_the_form_that_it_saw(self, capture: CaptureSystem) -> None:
        await capture.bait(consents=[CONSENT])
        await capture.change("guide", consents=[{**CONSENT, "version": "8"}])
        await capture.post(form_version=1, consents={"marketing.email": True})
        await capture.post(consents={"marketing.email": True})
        first, second = await capture.said("lead.submitted")
        assert first["data"]["bait_version"] == 1
        assert first["data"]["consents"][0]["text_version"] == "7"
        assert second["data"]["bait_version"] == 2
        assert second["data"]["consents"][0]["text_version"] == "8"

    async def test_who_can_be_mailed_comes_first(self, capture: CaptureSystem) -> None:
        await capture.bait(contacts=["phone", "email"])
        both = {"phone": "13800138000", "email": "li@shop.example"}
        await capture.post(contact=both)
        submitted, mail = await capture.said()
        assert [c["channel"] for c in submitted["data"]["contacts"]] == ["email", "phone"]
        assert mail["data"]["contact"]["channel"] == "email"

    async def test_a_phone_number_gets_no_mail(self, capture: CaptureSystem) -> None:
        await capture.bait(contacts=["phone"])
        assert (await capture.post(contact={"phone": "13800138000"})).status_code == 202
        assert [s["type"] for s in await capture.said()] == ["baitwell.lead.submitted.v1"]

    @pytest.mark.parametrize("qq_mail", [True, False])
    async def test_a_qq_number_is_mailed_if_the_bait_says_so(
        self, capture: CaptureSystem, qq_mail: bool
    ) -> None:
        await capture.bait(contacts=["qq"], qq_mail=qq_mail)
        await capture.post(contact={"qq": "10001"})
        mails = await capture.said("push.requested")
        assert [
            (m["data"]["contact"]["channel"], m["data"]["contact"]["address"]) for m in mails
        ] == ([("email", "10001@qq.com")] if qq_mail else [])
        assert (await capture.leads())[0].channel == "qq"

    async def test_known_and_unknown_get_the_same_bytes(self, capture: CaptureSystem) -> None:
        await capture.bait()
        first = await capture.post(contact={"email": "known@shop.example"})
        again = await capture.post(contact={"email": "known@shop.example"})
        other = await capture.post(contact={"email": "new@shop.example"})
        shapes = {
            (r.status_code, r.text.replace(r.json()["lead_id"], "ID"), *sorted(set(r.headers)))
            for r in (first, again, other)
        }
        assert len(shapes) == 1


HOSTILE: list[tuple[str, bytes, str, int]] = [
    ("malformed", b'{"contact":', "application/json", 422),
    ("not an object", b"[]", "application/json", 422),
    ("null", b"null", "application/json", 422),
    ("empty", b"", "application/json", 422),
    ("no contact", b"{}", "application/json", 422),
    ("wrong type", b'{"contact":{"email":5}}', "application/json", 422),
    ("unknown name", b'{"contact":{"email":"a@b.example"},"x":1}', "application/json", 422),
    ("unknown channel", b'{"contact":{"fax":"1"}}', "application/json", 422),
    ("unasked channel", b'{"contact":{"phone":"13800138000"}}', "application/json", 422),
    (
        "unknown field",
        b'{"contact":{"email":"a@b.example"},"fields":{"x":1}}',
        "application/json",
        422,
    ),
    (
        "unknown consent",
        b'{"contact":{"email":"a@b.example"},"consents":{"x.y":true}}',
        "application/json",
        422,
    ),
    (
        "consent no boolean",
        b'{"contact":{"email":"a@b.example"},"consents":{"x.y":1}}',
        "application/json",
        422,
    ),
    (
        "repeated name",
        b'{"contact":{"email":"a@b.example","email":"c@d.example"}}',
        "application/json",
        422,
    ),
    ("NaN", b'{"contact":{"email":"a@b.example"},"form_version":NaN}', "application/json", 422),
    ("NUL", b'{"contact":{"email":"a\\u0000@b.example"}}', "application/json", 422),
    ("raw control", b'{"contact":{"email":"a\x01@b.example"}}', "application/json", 422),
    ("half surrogate", b'{"contact":{"email":"a\\ud800@b.example"}}', "application/json", 422),
    ("turned", '{"contact":{"email":"a\u202e@b.example"}}'.encode(), "application/json", 422),
    (
        "encoded word",
        b'{"contact":{"email":"=?utf-8?q?a=0ABcc:x?=@b.example"}}',
        "application/json",
        422,
    ),
    ("header", b'{"contact":{"email":"a@b.example\\nBcc: x@y.example"}}', "application/json", 422),
    ("not UTF-8", b'{"contact":{"email":"\xff@b.example"}}', "application/json", 422),
    ("deep", b'{"contact":' + b"[" * 5000 + b"]" * 5000 + b"}", "application/json", 422),
    (
        "many fields",
        json.dumps(
            {"contact": {"email": "a@b.example"}, "fields": {f"f{n}": 1 for n in range(101)}}
        ).encode(),
        "application/json",
        422,
    ),
    ("big", b'{"contact":{"email":"' + b"x" * 65_536 + b'"}}', "application/json", 413),
    ("wrong type of body", b'{"contact":{"email":"a@b.example"}}', "text/plain", 415),
    ("a form", b"email=a@b.example", "application/x-www-form-urlencoded", 415),
    ("no type", b'{"contact":{"email":"a@b.example"}}', "", 415),
]


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [case[1:] for case in HOSTILE],
        ids=[case[0] for case in HOSTILE],
    )
    async def test_bad_input_is_a_problem_and_nothing_is_kept(
        self, capture: CaptureSystem, body: bytes, content_type: str, status: int
    ) -> None:
        await capture.bait()
        response = await capture.client.post(
            "/v1/baits/guide/leads", content=body, headers={"content-type": content_type}
        )
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
        assert await capture.leads() == []
        assert await capture.said() == []

    async def test_a_body_that_does_not_say_its_length_is_cut_off_while_reading(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait()
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(100):
                sent += 8192
                yield b"x" * 8192

        response = await capture.client.post(
            "/v1/baits/guide/leads",
            content=endless(),
            headers={"content-type": "application/json"},
        )
        assert response.status_code == 413

    async def test_every_wrong_field_is_told_in_the_visitors_language(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(fields=FIELDS)
        response = await capture.post(
            contact={"email": "nobody"},
            fields={"size": "many", "needs": ["rocket"]},
            headers={"accept-language": "en"},
        )
        assert response.status_code == 422
        assert reasons(response.json()) == {
            "contact.email": "not_email",
            "fields.company": "required",
            "fields.size": "not_integer",
            "fields.needs": "not_choice",
        }
        messages = [error["message"] for error in response.json()["errors"]]
        assert "This is not an e-mail address." in messages

    async def test_one_of_several_contacts_is_needed(self, capture: CaptureSystem) -> None:
        await capture.bait(contacts=["email", "phone"])
        response = await capture.post(contact={"email": " "})
        assert reasons(response.json()) == {"contact.email": "one_of_required"}
        await capture.change("guide", contacts_needed="all")
        response = await capture.post(contact={"email": "a@shop.example"})
        assert reasons(response.json()) == {"contact.phone": "required"}

    async def test_a_needed_consent_that_is_no_marketing_is_needed(
        self, capture: CaptureSystem
    ) -> None:
        await capture.bait(consents=[{**CONSENT, "purpose": "terms", "required": True}])
        response = await capture.post()
        assert reasons(response.json()) == {"consents.terms.email": "required"}

    @pytest.mark.parametrize("slug", ["nothing", "no%00thing", "%E2%80%AE", "x" * 500])
    async def test_an_unknown_bait_is_not_found(self, capture: CaptureSystem, slug: str) -> None:
        assert (await capture.post(slug)).status_code == 404

    async def test_out_of_its_time_it_takes_nothing(self, capture: CaptureSystem) -> None:
        now = capture.ground.clock.now()
        await capture.bait("later", valid_from=(now + timedelta(hours=1)).isoformat())
        await capture.bait("over", valid_to=(now - timedelta(hours=1)).isoformat())
        assert (await capture.post("later")).status_code == 404
        assert (await capture.post("over")).status_code == 410
        assert (await capture.client.get("/b/over")).status_code == 410

    async def test_with_the_outbox_full_it_says_come_again(self, capture: CaptureSystem) -> None:
        await capture.bait()
        capture.service.gate.wrote(capture.ground.settings.outbox_limit)
        response = await capture.post()
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
        assert await capture.leads() == []


class TestEdges:
    async def test_who_hangs_up_while_sending_leaves_nothing(self, capture: CaptureSystem) -> None:
        await capture.bait()
        messages = iter(
            [
                {"type": "http.request", "body": b'{"contact":', "more_body": True},
                {"type": "http.disconnect"},
            ]
        )
        answers: list[Any] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            answers.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/baits/guide/leads",
            "raw_path": b"/v1/baits/guide/leads",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "client": None,
            "server": ("testserver", 80),
        }
        await capture.app(scope, receive, send)
        assert answers == []
        assert await capture.leads() == []

    async def test_other_methods_are_told_what_there_is(self, capture: CaptureSystem) -> None:
        await capture.bait()
        for method in ("GET", "PUT", "DELETE"):
            answer = await capture.client.request(method, "/v1/baits/guide/leads")
            assert answer.status_code == 405
            assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}
        answer = await capture.client.post("/v1/baits/guide/leads%0A", json={})
        assert answer.status_code == 404

    async def test_the_path_is_measured_by_its_template(self, capture: CaptureSystem) -> None:
        await capture.bait()
        await capture.post()
        counted = capture.ground.registry.get_sample_value(
            "baitwell_request_duration_seconds_count",
            {
                "service": "capture",
                "route": "/v1/baits/{slug}/leads",
                "method": "POST",
                "status": "202",
            },
        )
        assert counted == 1


class TestCors:
    async def ask(self, capture: CaptureSystem, origin: str) -> Any:
        return await capture.client.options(
            "/v1/baits/guide/leads",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type,idempotency-key",
            },
        )

    async def test_without_a_list_every_site_may_post(self, capture: CaptureSystem) -> None:
        await capture.bait()
        asked = await self.ask(capture, "https://any.example")
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == "*"
        assert "idempotency-key" in asked.headers["access-control-allow-headers"]
        posted = await capture.post(headers={"origin": "https://any.example"})
        assert posted.status_code == 202
        assert posted.headers["access-control-allow-origin"] == "*"

    async def test_with_a_list_only_those_on_it(self, capture: CaptureSystem) -> None:
        await capture.bait(origins=["https://Shop.example:443"])
        for origin, status, allowed in (
            ("https://shop.example", 202, "https://shop.example"),
            ("https://evil.example", 403, None),
            ("https://shop.example.evil.example", 403, None),
            ("http://shop.example", 403, None),
            ("null", 403, None),
        ):
            asked = await self.ask(capture, origin)
            assert asked.headers.get("access-control-allow-origin") == allowed
            posted = await capture.post(headers={"origin": origin})
            assert posted.status_code == status, origin
            assert posted.headers.get("access-control-allow-origin") == allowed
            assert posted.headers["vary"] == "Origin"
        assert (await capture.post()).status_code == 202

    async def test_a_script_can_read_what_was_wrong(self, capture: CaptureSystem) -> None:
        await capture.bait(origins=["https://shop.example"])
        response = await capture.post(
            contact={"email": "x"}, headers={"origin": "https://shop.example"}
        )
        assert response.status_code == 422
        assert response.headers["access-control-allow-origin"] == "https://shop.example"


def test_the_route_stands_in_the_api_document(capture_document: dict[str, Any]) -> None:
    operation = capture_document["paths"]["/v1/baits/{slug}/leads"]["post"]
    assert operation["operationId"] == "post_lead"
    assert "202" in operation["responses"]
    assert KIND.name == "capture"


@pytest.fixture
async def capture_document(capture: CaptureSystem) -> dict[str, Any]:
    document: dict[str, Any] = (await capture.client.get("/docs/capture/openapi.json")).json()
    return document


class TestAddressOfTheVisitor:
    """The proof of a consent has the visitor's address (hashed), not that of the proxy before us."""

    @pytest.mark.parametrize(("trusted", "seen"), [(["203.0.113.7"], 2), (None, 1)])
    async def test_a_proxy_that_is_believed_names_it(
        self, tmp_path: Path, trusted: list[str] | None, seen: int
    ) -> None:
        settings: dict[str, Any] = {"trusted_proxies": trusted} if trusted else {}
        async with capture_system(tmp_path, **settings) as capture:
            await capture.bait()
            for address in ("198.51.100.1", "198.51.100.2"):
                headers = {"x-forwarded-for": address}
                form = {"email": "a@shop.example"}
                assert (await capture.post(headers=headers)).status_code == 202
                answer = await capture.client.post("/f/guide", data=form, headers=headers)
                assert answer.status_code == 303
            hashes = [e["data"]["proof"]["ip_hash"] for e in await capture.said("lead.submitted")]
        assert len(hashes) == 4
        assert None not in hashes
        assert len(set(hashes)) == seen

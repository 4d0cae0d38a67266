"""`/v1/templates` as a caller sees it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from services.push.deliveries.models import Delivery
from services.push.templates.service import TESTS_AN_HOUR
from tests.push.serving import TEMPLATE, Served, served


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


class TestMaking:
    async def test_a_template_is_read_back_as_it_was_made(self, push: Served) -> None:
        made = await push.make_template()
        answer = await push.client.get(f"/v1/templates/{made['id']}", headers=push.reader)
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"1"'
        found = answer.json()
        assert found == made
        assert (found["kind"], found["channel"], found["version"]) == ("marketing", "email", 1)
        assert found["version_created_by"] == "Li Na"
        assert found["contents"]["zh-CN"]["html"] is None

    async def test_the_first_content_is_the_default_where_nobody_says_which(
        self, push: Served
    ) -> None:
        body = {"name": "One", "contents": {"en": {"subject": "Hello", "text": "Dear reader"}}}
        answer = await push.client.post("/v1/templates", json=body, headers=push.admin)
        assert (answer.status_code, answer.json()["default_language"]) == (201, "en")
        chinese = {"zh-CN": {"subject": "你好", "text": "亲爱的读者"}}
        body = {"name": "Two", "contents": {**body["contents"], **chinese}}  # type: ignore[dict-item]
        answer = await push.client.post("/v1/templates", json=body, headers=push.admin)
        assert (answer.status_code, answer.json()["default_language"]) == (201, "zh-CN")

    @pytest.mark.parametrize(
        ("changes", "field", "reason"),
        [
            ({"contents": {}}, "contents", "too_short"),
            (
                {"default_language": "zh-CN", "contents": {"en": {"subject": "x", "text": "x"}}},
                "contents",
                "required",
            ),
            ({"contents": {"fr": {"subject": "x"}}}, "contents.fr.[key]", "invalid"),
            ({"contents": {"en": {"subject": "x"}}}, "contents.en.text", "required"),
            (
                {"contents": {"en": {"subject": "x", "text": "{{ a.b }}"}}},
                "contents.en.text",
                "not_in_templates",
            ),
            (
                {"contents": {"en": {"subject": "x", "text": "{{ who }}"}}},
                "contents.en.text",
                "undeclared_variable",
            ),
            (
                {"contents": {"en": {"subject": "{% if", "text": "x"}}},
                "contents.en.subject",
                "template_syntax",
            ),
            (
                {"contents": {"en": {"subject": "x", "text": "x"}}},
                "variables.0.name",
                "unused_variable",
            ),
            ({"variables": [{"name": "Name"}]}, "variables.0.name", "invalid"),
            ({"variables": [{"name": "if"}]}, "variables.0.name", "taken"),
            ({"variables": [{"name": "unsubscribe_url"}]}, "variables.0.name", "taken"),
            (
                {"variables": [{"name": "name", "type": "date", "default": "soon"}]},
                "variables.0",
                "wrong_type",
            ),
            ({"variables": [{"name": "name"}, {"name": "name"}]}, "body", "repeated_field"),
            ({"name": "a\nb"}, "name", "forbidden_characters"),
            ({"channel": "pigeon"}, "channel", "invalid"),
            ({"more": 1}, "more", "unknown_field"),
        ],
    )
    async def test_a_fault_names_its_field(
        self, push: Served, changes: dict[str, Any], field: str, reason: str
    ) -> None:
        answer = await push.client.post(
            "/v1/templates", json=TEMPLATE | changes, headers=push.admin
        )
        assert answer.status_code == 422, answer.text
        errors = answer.json()["errors"]
        assert (errors[0]["field"], errors[0]["reason"]) == (field, reason)

    async def test_faults_are_told_in_both_languages(self, push: Served) -> None:
        contents = {"en": {"subject": "x", "text": "line\n{{ name.x }}"}}
        said = []
        for language in ("zh-CN", "en"):
            answer = await push.client.post(
                "/v1/templates",
                json=TEMPLATE | {"contents": contents},
                headers=push.admin | {"accept-language": language},
            )
            said.append(answer.json()["errors"][0]["message"])
        assert said == [
            "模板中不允许使用此语法。 (line 2: .)",
            "This is not allowed in a template. (line 2: .)",
        ]

    async def test_a_name_is_taken_once(self, push: Served) -> None:
        await push.make_template()
        answer = await push.client.post("/v1/templates", json=TEMPLATE, headers=push.admin)
        assert answer.status_code == 409
        assert answer.json()["errors"][0] == {
            "field": "name",
            "reason": "taken",
            "message": "已被占用。",
        }

    async def test_who_may(self, push: Served) -> None:
        assert (await push.client.post("/v1/templates", json=TEMPLATE)).status_code == 401
        answer = await push.client.post("/v1/templates", json=TEMPLATE, headers=push.reader)
        assert answer.status_code == 403
        assert (await push.client.get("/v1/templates", headers=push.reader)).status_code == 200


class TestEditing:
    async def test_an_edit_is_a_new_version_and_the_old_one_stays(self, push: Served) -> None:
        made = await push.make_template()
        body = {k: v for k, v in TEMPLATE.items() if k != "channel"} | {"name": "Summer"}
        answer = await push.client.put(
            f"/v1/templates/{made['id']}", json=body, headers=push.admin | {"if-match": '"1"'}
        )
        assert answer.status_code == 200
        assert answer.headers["etag"] == '"2"'
        assert (answer.json()["name"], answer.json()["version"]) == ("Summer", 2)
        old = await push.client.get(f"/v1/templates/{made['id']}/versions/1", headers=push.reader)
        assert old.json()["version_id"] == made["version_id"]
        missing = await push.client.get(
            f"/v1/templates/{made['id']}/versions/3", headers=push.reader
        )
        assert missing.status_code == 404

    @pytest.mark.parametrize(
        ("if_match", "status"),
        [(None, 428), ('"2"', 412), ("x", 412), ('"1"', 200), ("*", 200), ('W/"1"', 200)],
    )
    async def test_needs_the_version_that_is_edited(
        self, push: Served, if_match: str | None, status: int
    ) -> None:
        made = await push.make_template()
        headers = push.admin | ({"if-match": if_match} if if_match else {})
        answer = await push.client.put(
            f"/v1/templates/{made['id']}", json=TEMPLATE, headers=headers
        )
        assert answer.status_code == status

    async def test_a_list_goes_on_where_it_stopped(self, push: Served) -> None:
        for number in range(5):
            push.clock.advance(1.0)
            await push.make_template(name=f"T{number}")
        names, cursor = [], None
        while True:
            parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            answer = await push.client.get("/v1/templates", params=parameters, headers=push.reader)
            names += [item["name"] for item in answer.json()["items"]]
            cursor = answer.json()["next"]
            if cursor is None:
                break
        assert names == ["T4", "T3", "T2", "T1", "T0"]
        bad = await push.client.get("/v1/templates?cursor=nonsense", headers=push.reader)
        assert bad.status_code == 422


class TestPreview:
    async def test_shows_a_persons_message(self, push: Served) -> None:
        (person,) = await push.people(1)
        made = await push.make_template()
        url = f"/v1/templates/{made['id']}/preview"
        answer = await push.client.post(url, json={"profile_id": str(person)}, headers=push.reader)
        shown = answer.json()
        assert (shown["language"], shown["subject"]) == ("en", "Hello P0")
        assert shown["text"].startswith("Dear P0, see https://shop.example/spring\n")
        assert '<a href="https://shop.example/spring">see</a>' in shown["html"]
        assert shown["links"] == ["https://shop.example/spring"]
        chosen = {"values": {"name": "<b>"}, "language": "zh-CN"}
        answer = await push.client.post(url, json=chosen, headers=push.reader)
        assert answer.json()["subject"] == "你好，<b>"

    @pytest.mark.parametrize(
        ("body", "field", "reason"),
        [
            ({"values": {"who": "x"}}, "values.who", "undeclared_variable"),
            ({"values": {"when": "soon"}}, "values.when", "wrong_type"),
            ({}, "values.when", "value_missing"),
            ({"profile_id": "01890000-0000-7000-8000-000000000000"}, "profile_id", "no_such_thing"),
            ({"language": "fr"}, "language", "invalid"),
        ],
    )
    async def test_says_what_is_wrong(
        self, push: Served, body: dict[str, Any], field: str, reason: str
    ) -> None:
        made = await push.make_template(
            variables=[{"name": "when", "type": "date"}],
            contents={"en": {"subject": "x", "text": "{{ when }}"}},
        )
        answer = await push.client.post(
            f"/v1/templates/{made['id']}/preview", json=body, headers=push.reader
        )
        assert answer.status_code == 422
        error = answer.json()["errors"][0]
        assert (error["field"], error["reason"]) == (field, reason)


class TestATestMessage:
    async def test_is_planned_outside_of_campaigns(self, push: Served) -> None:
        made = await push.make_template(
            variables=[{"name": "when", "type": "date"}],
            contents={"en": {"subject": "x", "text": "{{ when }}"}},
        )
        answer = await push.client.post(
            f"/v1/templates/{made['id']}/test",
            json={"address": "li@company.example"},
            headers=push.admin,
        )
        assert answer.status_code == 202
        (row,) = await push.ground.database.read(lambda s: list(s.exec(select(Delivery))))
        assert str(row.id) == answer.json()["delivery_id"]
        assert (row.cause_kind, row.marketing, row.capped) == ("test", False, False)
        assert (row.address, row.values) == ("li@company.example", {"when": "2026-01-31"})
        assert (row.profile_id, row.campaign_id) == (None, None)

    async def test_there_are_only_so_many_an_hour(self, push: Served) -> None:
        made = await push.make_template()
        url = f"/v1/templates/{made['id']}/test"
        body = {"address": "li@company.example"}
        for _ in range(TESTS_AN_HOUR):
            assert (await push.client.post(url, json=body, headers=push.admin)).status_code == 202
        answer = await push.client.post(url, json=body, headers=push.admin)
        assert answer.status_code == 429
        assert answer.headers["retry-after"]
        push.clock.advance(3601)
        assert (await push.client.post(url, json=body, headers=push.admin)).status_code == 202

    async def test_needs_an_address_and_an_admin(self, push: Served) -> None:
        made = await push.make_template()
        url = f"/v1/templates/{made['id']}/test"
        answer = await push.client.post(url, json={"address": "nobody"}, headers=push.admin)
        assert answer.json()["errors"][0]["reason"] == "not_email"
        answer = await push.client.post(url, json={"address": "a@b.example"}, headers=push.reader)
        assert answer.status_code == 403

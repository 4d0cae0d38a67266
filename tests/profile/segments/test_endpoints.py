"""`/v1/segments`."""

from typing import Any
from uuid import uuid4

import pytest

from tests.profile.bench import Bench

RULE = {"all": [{"tag": "vip"}, {"not": {"field": "city", "is": "北京"}}]}


async def make(bench: Bench, rule: Any = RULE, name: str = "VIPs") -> Any:
    answer = await bench.client.post(
        "/v1/segments", json={"name": name, "rule": rule}, headers=bench.admin
    )
    assert answer.status_code == 201, answer.text
    return answer


async def people(bench: Bench) -> None:
    types = {"city": "text", "age": "integer"}
    await bench.feed(
        bench.lead(
            "a@x.example", tags=("vip",), fields={"city": "上海", "age": 3}, field_types=types
        ),
        bench.lead("b@x.example", tags=("vip",), fields={"city": "北京"}, field_types=types),
        bench.lead("c@x.example", tags=("vip",)),
        bench.lead("d@x.example"),
    )


class TestFinding:
    async def test_count_sample_and_members_agree(self, both: Bench) -> None:
        await people(both)
        path = (await make(both)).headers["location"]

        async def get(tail: str) -> Any:
            return (await both.client.get(path + tail, headers=both.admin)).json()

        assert await get("/count") == {"count": 2}
        sample = await get("/sample")
        assert [person["fields"] for person in sample["items"]] in (
            [{"city": "上海", "age": 3}, {}],
            [{}, {"city": "上海", "age": 3}],
        )
        first = await get("/members?limit=1")
        second = await get(f"/members?limit=1&after={first['next']}")
        assert second["next"] is None
        assert {*first["items"], *second["items"]} == {p["id"] for p in sample["items"]}

    async def test_preview_names_fields_that_nobody_gave(self, both: Bench) -> None:
        await people(both)
        rule = {"any": [{"field": "citty", "is": "上海"}, {"field": "age", "at_least": 3}]}
        answer = await both.client.post(
            "/v1/segments/preview", json={"rule": rule}, headers=both.admin
        )
        found = answer.json()
        assert found["count"] == len(found["items"]) == 1
        assert found["unknown_fields"] == ["citty"]

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            ({"field": "age", "is": "three"}, "not_number"),
            ({"field": "age", "contains": "3"}, "wrong_comparison"),
            ({"field": "city", "at_least": 3}, "wrong_comparison"),
            ({"field": "city", "is": 3}, "not_text"),
        ],
    )
    async def test_a_comparison_must_fit_the_declared_type(
        self, bench: Bench, rule: Any, reason: str
    ) -> None:
        await people(bench)
        for path in ("/v1/segments", "/v1/segments/preview"):
            body = {"rule": {"not": rule}} | ({"name": "x"} if path == "/v1/segments" else {})
            answer = await bench.client.post(path, json=body, headers=bench.admin)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["reason"] == reason

    @pytest.mark.parametrize(
        ("rule", "wrong"),
        [
            ({"consentt": "marketing"}, {"rule.consentt": "unknown_field"}),
            ({"all": [{"tag": "a"}, {"tagg": "b"}]}, {"rule.all.1.tagg": "unknown_field"}),
            ({"not": {"tag": "a", "bait": "b"}}, {"rule.not.bait": "unknown_field"}),
            ({"any": [{"all": [{"nope": 1}]}]}, {"rule.any.0.all.0.nope": "unknown_field"}),
            (
                {"any": [{"engagement": "clickd", "days": 3}]},
                {"rule.any.0.engagement": "invalid", "rule.any.0.days": "unknown_field"},
            ),
            ({"all": [{"contact": "email", "verified": "yes"}]}, {"rule.all.0.verified": None}),
            ({"all": []}, {"rule.all": "too_short"}),
            ({"field": "city"}, {"rule": "required"}),
            ({}, {"rule": "required"}),
            (["tag"], {"rule": "invalid"}),
        ],
    )
    async def test_what_is_wrong_is_named_as_the_rule_has_it(
        self, bench: Bench, rule: Any, wrong: dict[str, str | None]
    ) -> None:
        body = {"name": "x", "rule": rule}
        answer = await bench.client.post("/v1/segments", json=body, headers=bench.admin)
        assert answer.status_code == 422
        told = {error["field"]: error["reason"] for error in answer.json()["errors"]}
        assert told.keys() == wrong.keys()
        assert all(reason in (None, told[field]) for field, reason in wrong.items())

    async def test_too_deep_says_so(self, bench: Bench) -> None:
        rule: Any = {"tag": "x"}
        for _ in range(2000):
            rule = {"not": rule}
        text = '{"name": "x", "rule": ' + '{"not": ' * 2000 + '{"tag": "x"}' + "}" * 2001
        headers = bench.admin | {"content-type": "application/json"}
        answer = await bench.client.post("/v1/segments", content=text, headers=headers)
        assert answer.status_code == 422


class TestEditing:
    async def test_a_change_names_its_version(self, both: Bench) -> None:
        made = await make(both)
        path, etag = made.headers["location"], made.headers["etag"]
        body = {"name": "Everybody", "rule": {"leads_at_least": 1}}

        async def put(**headers: str) -> Any:
            return await both.client.put(path, json=body, headers=both.admin | headers)

        assert (await put()).status_code == 428
        assert (await put(**{"if-match": '"7"'})).status_code == 412
        changed = await put(**{"if-match": etag})
        assert changed.status_code == 200
        assert changed.headers["etag"] == '"2"'
        assert changed.json()["rule"] == {"leads_at_least": 1}
        assert (await put(**{"if-match": etag})).status_code == 412

    async def test_a_retired_one_leaves_the_list_and_still_answers(self, both: Bench) -> None:
        await people(both)
        path = (await make(both)).headers["location"]
        headers = both.admin | {"if-match": "*"}
        assert (await both.client.delete(path, headers=headers)).status_code == 204
        listed = await both.client.get("/v1/segments", headers=both.admin)
        assert listed.json() == {"items": [], "next": None}
        assert (await both.client.get(path, headers=both.admin)).json()["state"] == "retired"
        counted = await both.client.get(f"{path}/count", headers=both.admin)
        assert counted.json() == {"count": 2}
        assert (await both.client.delete(path, headers=headers)).status_code == 410

    async def test_listed_by_pages(self, both: Bench) -> None:
        for number in range(3):
            await make(both, name=f"s{number}")
        first = (await both.client.get("/v1/segments?limit=2", headers=both.admin)).json()
        rest = await both.client.get(
            "/v1/segments", params={"after": first["next"]}, headers=both.admin
        )
        names = [s["name"] for s in (*first["items"], *rest.json()["items"])]
        assert sorted(names) == ["s0", "s1", "s2"]

    async def test_no_such_segment(self, bench: Bench) -> None:
        for tail in ("", "/count", "/sample", "/members"):
            path = f"/v1/segments/{uuid4()}{tail}"
            assert (await bench.client.get(path, headers=bench.admin)).status_code == 404

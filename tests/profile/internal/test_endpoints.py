"""What push and metrics ask."""

from typing import Any

import pytest

from tests.profile.bench import Bench


@pytest.fixture
async def inside(bench: Bench) -> dict[str, str]:
    key = await bench.ground.keys.create("push", ["internal"])
    return {"authorization": f"Bearer {key}"}


async def test_members_end_with_their_count(bench: Bench, inside: dict[str, str]) -> None:
    await bench.feed(*(bench.lead(f"p{n}@x.example", tags=("vip",)) for n in range(5)))
    made = await bench.client.post(
        "/v1/segments", json={"name": "x", "rule": {"tag": "vip"}}, headers=bench.admin
    )
    path = f"/internal/segments/{made.json()['id']}/members"
    first = (await bench.client.get(f"{path}?limit=3", headers=inside)).json()
    assert (len(first["items"]), first["count"]) == (3, None)
    rest = await bench.client.get(f"{path}?limit=3&after={first['next']}", headers=inside)
    last = rest.json()
    assert (len(last["items"]), last["next"], last["count"]) == (2, None, 5)


async def test_a_segment_is_named(bench: Bench, inside: dict[str, str]) -> None:
    body = {"name": "Readers / 读者", "rule": {"tag": "vip"}}
    made = (await bench.client.post("/v1/segments", json=body, headers=bench.admin)).json()
    named = await bench.client.get(f"/internal/segments/{made['id']}", headers=inside)
    assert named.json() == {"name": "Readers / 读者"}
    nobody = await bench.client.get(f"/internal/segments/{bench.ground.ids.new()}", headers=inside)
    assert nobody.status_code == 404


async def test_freshness_is_the_age_of_what_waits(bench: Bench, inside: dict[str, str]) -> None:
    async def age() -> Any:
        answer = await bench.client.get("/internal/freshness", headers=inside)
        return answer.json()["oldest_unpublished_seconds"]

    assert await age() == 0
    await bench.feed(bench.lead("a@x.example"))
    bench.clock.advance(7)
    assert await age() == 7
    await bench.said()
    assert await age() == 0


async def test_match_by_contact_and_by_id(bench: Bench, inside: dict[str, str]) -> None:
    await bench.feed(bench.lead("a@x.example", "b@x.example"))
    (state,) = await bench.states()

    async def match(**body: Any) -> Any:
        return (
            await bench.client.post("/internal/profiles/match", json=body, headers=inside)
        ).json()

    by_contact = await match(channel="email", address="B@x.example")
    assert by_contact["profile_id"] == str(state.profile_id)
    assert by_contact["contact_keys"] == [c.contact_key for c in state.contacts]
    assert await match(profile_id=str(state.profile_id)) == by_contact
    nobody: dict[str, Any] = {"profile_id": None, "contact_keys": [], "alias_of": None}
    assert await match(channel="email", address="nothing") == nobody
    assert await match(profile_id=str(bench.ground.ids.new())) == nobody


@pytest.mark.parametrize("body", [{}, {"channel": "email"}, {"more": 1}])
async def test_match_needs_one_of_both(
    bench: Bench, inside: dict[str, str], body: dict[str, Any]
) -> None:
    answer = await bench.client.post("/internal/profiles/match", json=body, headers=inside)
    assert answer.status_code == 422


async def test_nobody_else_may_ask(bench: Bench) -> None:
    assert (await bench.client.get("/internal/freshness", headers=bench.admin)).status_code == 403
    assert (await bench.client.get("/internal/freshness")).status_code == 401

"""`/v1/profiles/{id}/consents`: what operators record."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.shared.contact import Channel
from tests.profile.bench import Bench


async def person_with(bench: Bench, *addresses: str, **changes: Any) -> UUID:
    await bench.feed(bench.lead(*addresses, **changes))
    return (await bench.states())[-1].profile_id


async def record(bench: Bench, person: UUID, **body: Any) -> Any:
    body = {"channel": "email", "given": True, "provenance": "signed form 12/2025"} | body
    return await bench.client.post(
        f"/v1/profiles/{person}/consents", json=body, headers=bench.admin
    )


class TestGiven:
    async def test_takes_effect_with_its_provenance(self, both: Bench) -> None:
        person = await person_with(both, "a@shop.example")
        answer = await record(both, person)
        assert answer.status_code == 201
        assert answer.json()["entry"]["proof"]["recorded_by"] == "tests"
        (state,) = await both.states()
        assert state.revision == 2
        assert [(c.purpose, c.channel, c.given) for c in state.consents] == [
            ("marketing", Channel.EMAIL, True)
        ]
        assert state.contacts[0].provenance == "signed form 12/2025"
        assert state.contacts[0].verified_at is None

    async def test_for_one_contact_leaves_the_others(self, both: Bench) -> None:
        person = await person_with(both, "a@shop.example", "b@shop.example")
        key = both.contact("b@shop.example").contact_key
        await record(both, person, contact_key=key)
        (state,) = await both.states()
        assert [c.provenance for c in state.contacts] == [None, "signed form 12/2025"]
        assert [c.contact_key for c in state.consents] == [key]

    async def test_brings_back_who_had_left(self, both: Bench) -> None:
        person = await person_with(both, "a@shop.example", consent=True)
        await record(both, person, given=False)
        assert [c.given for c in (await both.states())[-1].consents] == [False, False]
        both.clock.advance(60)
        await record(both, person, given=True)
        assert [c.given for c in (await both.states())[-1].consents] == [True, True]


async def test_the_timeline_tells_it(bench: Bench) -> None:
    person = await person_with(bench, "a@shop.example")
    await record(bench, person, given=False, at=(bench.clock.now() - timedelta(days=2)).isoformat())
    page = await bench.client.get(f"/v1/profiles/{person}/timeline", headers=bench.admin)
    assert [item["kind"] for item in page.json()["items"]] == [
        "lead.submitted",
        "consent.withdrawn",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provenance": "  "}, "provenance"),
        ({"provenance": "a\tb"}, "provenance"),
        ({"at": "2100-01-01T00:00:00Z"}, "at"),
        ({"at": "2020-01-01T00:00:00"}, "at"),
        ({"contact_key": "f" * 40}, "contact_key"),
        ({"channel": "pigeon"}, "channel"),
        ({"given": "yes"}, "given"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_named(bench: Bench, body: dict[str, Any], field: str) -> None:
    person = await person_with(bench, "a@shop.example")
    answer = await record(bench, person, **body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert await bench.states() == []


async def test_only_an_admin_records(bench: Bench) -> None:
    person = await person_with(bench, "a@shop.example")
    bench.key = await bench.ground.keys.create("reader", ["read"])
    assert (await record(bench, person)).status_code == 403
    assert (await record(bench, uuid4())).status_code == 403


async def test_nobody(bench: Bench) -> None:
    assert (await record(bench, uuid4())).status_code == 404

"""`/v1/profiles`."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from services.shared.contact import Channel
from services.shared.events.engagements import EngagementClicked
from tests.profile.bench import Bench


async def some_person(bench: Bench) -> UUID:
    phone = bench.contact("13800138000", Channel.PHONE)
    lead = bench.lead(
        "a@shop.example",
        phone,
        consent=True,
        tags=("vip",),
        fields={"city": "上海"},
        field_types={"city": "text"},
    )
    await bench.feed(lead, bench.verified(lead))
    return (await bench.states())[-1].profile_id


class TestLookup:
    @pytest.mark.parametrize(
        "query",
        [
            {"channel": "email", "address": " A@Shop.Example "},
            {"channel": "phone", "address": "+86 138-0013-8000"},
        ],
    )
    async def test_reads_contacts_as_people_type_them(self, both: Bench, query: object) -> None:
        person = await some_person(both)
        answer = await both.client.post("/v1/profiles/lookup", json=query, headers=both.admin)
        assert answer.status_code == 200
        assert answer.json()["id"] == str(person)

    async def test_nobody(self, bench: Bench) -> None:
        query = {"channel": "email", "address": "b@shop.example"}
        answer = await bench.client.post("/v1/profiles/lookup", json=query, headers=bench.admin)
        assert answer.status_code == 404

    async def test_no_address_says_which_field(self, bench: Bench) -> None:
        query = {"channel": "email", "address": "nothing"}
        answer = await bench.client.post("/v1/profiles/lookup", json=query, headers=bench.admin)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "address"

    async def test_needs_a_key(self, bench: Bench) -> None:
        query = {"channel": "email", "address": "b@shop.example"}
        assert (await bench.client.post("/v1/profiles/lookup", json=query)).status_code == 401
        report = await bench.ground.keys.create("shop", ["report"])
        headers = {"authorization": f"Bearer {report}"}
        answer = await bench.client.post("/v1/profiles/lookup", json=query, headers=headers)
        assert answer.status_code == 403


async def test_a_person_is_shown_whole(both: Bench) -> None:
    person = await some_person(both)
    answer = await both.client.get(f"/v1/profiles/{person}", headers=both.admin)
    shown = answer.json()
    assert shown["revision"] == 1
    assert [c["channel"] for c in shown["contacts"]] == ["email", "phone"]
    assert shown["contacts"][0]["verified_at"] is not None
    assert shown["fields"][0] | {"at": ""} == {
        "name": "city",
        "value": "上海",
        "type": "text",
        "source": "bait:welcome",
        "at": "",
        "newest": True,
    }
    assert shown["tags"][0]["tag"] == "vip"
    assert shown["consents"][0]["given"] is True
    proof = shown["consent_proofs"][0]
    assert proof["text_version"] == "v1"
    assert proof["proof"]["ip_hash"] == "ab" * 20
    assert proof["proof"]["bait_version"] == 1


async def test_no_such_person(bench: Bench) -> None:
    for path in (f"/v1/profiles/{uuid4()}", f"/v1/profiles/{uuid4()}/timeline"):
        assert (await bench.client.get(path, headers=bench.admin)).status_code == 404


class TestList:
    async def test_pages_show_everybody_once_newest_first(self, both: Bench) -> None:
        for number in range(7):
            both.clock.advance(1)
            await both.feed(both.lead(f"p{number}@shop.example"))
        seen, after = [], None
        while True:
            params = {"limit": 3} | ({"after": after} if after else {})
            answer = await both.client.get("/v1/profiles", params=params, headers=both.admin)
            page = answer.json()
            seen += [line["contacts"][0]["address"] for line in page["items"]]
            after = page["next"]
            if after is None:
                break
        assert seen == [f"p{number}@shop.example" for number in reversed(range(7))]

    async def test_narrowed_by_tag_and_bait(self, both: Bench) -> None:
        await both.feed(
            both.lead("a@shop.example", tags=("vip",)),
            both.lead("a@shop.example", tags=("vip",)),
            both.lead("b@shop.example", tags=("vip",), bait_slug="autumn"),
            both.lead("c@shop.example"),
        )

        async def found(**params: str) -> int:
            answer = await both.client.get("/v1/profiles", params=params, headers=both.admin)
            return len(answer.json()["items"])

        assert await found(tag="vip") == 2
        assert await found(bait="welcome") == 2
        assert await found(tag="vip", bait="welcome") == 1
        assert await found(tag="none") == 0

    @pytest.mark.parametrize("params", [{"tag": "a\x00b"}, {"limit": "0"}, {"after": "x"}])
    async def test_bad_questions(self, both: Bench, params: dict[str, str]) -> None:
        answer = await both.client.get("/v1/profiles", params=params, headers=both.admin)
        assert answer.status_code == 422


class TestTimeline:
    async def test_pages_newest_first(self, both: Bench) -> None:
        person = await some_person(both)
        for number in range(5):
            if number % 2:
                both.clock.advance(1)
            await both.feed(
                EngagementClicked(
                    engagement_id=uuid4(), profile_id=person, link=number, url="https://x.example"
                )
            )
        path = f"/v1/profiles/{person}/timeline"
        seen, after = [], None
        while True:
            params = {"limit": 2} | ({"after": after} if after else {})
            page = (await both.client.get(path, params=params, headers=both.admin)).json()
            seen += page["items"]
            after = page["next"]
            if after is None:
                break
        assert len(seen) == len({item["id"] for item in seen}) == 7
        assert [item["at"] for item in seen] == sorted((i["at"] for i in seen), reverse=True)

    @pytest.mark.parametrize("after", ["", "!!", "AAAA", "_" * 32, "A" * 32])
    async def test_a_forged_cursor_is_no_crash(self, both: Bench, after: str) -> None:
        person = await some_person(both)
        answer = await both.client.get(
            f"/v1/profiles/{person}/timeline", params={"after": after}, headers=both.admin
        )
        assert answer.status_code in (200, 422)


async def test_pages_and_lookups_follow_an_index(bench: Bench) -> None:
    person = await some_person(bench)
    statements: list[str] = []

    def plans(session) -> list[str]:
        connection = session.connection()
        return [
            row[3]
            for statement in statements
            for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")).all()
        ]

    key = bench.contact("a@shop.example").contact_key
    id_ = person.hex
    latest = "ORDER BY profile_id DESC LIMIT 50"
    entries = f"SELECT * FROM timeline WHERE profile_id = '{id_}' AND at <= 5 AND"
    statements += [
        f"SELECT profile_id FROM contacts WHERE contact_key = '{key}'",
        f"SELECT id FROM profiles WHERE id < '{id_}' ORDER BY id DESC LIMIT 50",
        f"SELECT DISTINCT profile_id FROM tags WHERE tag = 'a' AND profile_id < '{id_}' {latest}",
        f"SELECT DISTINCT profile_id FROM handled_leads WHERE bait_slug = 'w' {latest}",
        f"{entries} (at < 5 OR event_id < 'x') ORDER BY at DESC, event_id DESC LIMIT 50",
    ]
    found = await bench.database.read(plans)
    assert all(step.startswith("SEARCH") for step in found), found

"""`/v1/campaigns` as a caller sees it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from services.push.campaigns import repository
from services.push.deliveries import halts
from tests.push.serving import Served, served


@pytest.fixture
async def push(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as running:
        yield running


def at(push: Served, hours: float) -> str:
    return (push.clock.now() + timedelta(hours=hours)).isoformat()


class TestMaking:
    async def test_a_draft_is_read_back(self, push: Served) -> None:
        made = await push.make_campaign(priority=2, capped=False, until=at(push, 5))
        answer = await push.client.get(f"/v1/campaigns/{made['id']}", headers=push.reader)
        assert answer.json() == made
        assert answer.headers["etag"] == '"1"'
        assert (made["state"], made["channel"], made["created_by"]) == ("draft", "email", "Li Na")

    @pytest.mark.parametrize(
        ("changes", "field", "reason"),
        [
            ({"segment_id": "01890000-0000-7000-8000-000000000000"}, "segment_id", "no_such_thing"),
            (
                {"template_id": "01890000-0000-7000-8000-000000000000"},
                "template_id",
                "no_such_thing",
            ),
            ({"channel": "webhook"}, "channel", "not_choice"),
            ({"priority": 0}, "priority", "out_of_range"),
            ({"start_at": "2026-01-01T00:00:00"}, "start_at", "invalid"),
            ({"until": "9999-12-31T23:59:59-12:00"}, "until", "out_of_range"),
            ({"name": " "}, "name", "required"),
            ({"state": "running"}, "state", "unknown_field"),
        ],
    )
    async def test_a_fault_names_its_field(
        self, push: Served, changes: dict[str, Any], field: str, reason: str
    ) -> None:
        template = await push.make_template()
        body = {"name": "x", "segment_id": str(push.profile.segment), "template_id": template["id"]}
        answer = await push.client.post("/v1/campaigns", json=body | changes, headers=push.admin)
        assert answer.status_code == 422, answer.text
        error = answer.json()["errors"][0]
        assert (error["field"], error["reason"]) == (field, reason)

    async def test_a_transactional_template_is_no_campaign(self, push: Served) -> None:
        template = await push.make_template(kind="transactional")
        body = {"name": "x", "segment_id": str(push.profile.segment), "template_id": template["id"]}
        answer = await push.client.post("/v1/campaigns", json=body, headers=push.admin)
        assert answer.json()["errors"][0]["reason"] == "not_marketing"

    async def test_is_made_while_profile_is_away(self, push: Served) -> None:
        push.profile.status = 503
        await push.make_campaign()

    async def test_who_may(self, push: Served) -> None:
        made = await push.make_campaign()
        for method, path in (("POST", ""), ("POST", f"/{made['id']}/start")):
            answer = await push.client.request(
                method, f"/v1/campaigns{path}", json={}, headers=push.reader
            )
            assert answer.status_code == 403
        assert (await push.client.get("/v1/campaigns")).status_code == 401


class TestActing:
    async def test_a_campaigns_life(self, push: Served) -> None:
        await push.people(12)
        made = await push.make_campaign(start_at=at(push, 1))
        states = []
        for action in ("schedule", "pause", "resume", "start", "start", "pause", "resume"):
            answer = await push.act(made["id"], action)
            assert answer.status_code == 200, answer.text
            states.append(answer.json()["state"])
        assert states == [
            "scheduled",
            "paused",
            "scheduled",
            "running",
            "running",
            "paused",
            "running",
        ]
        await push.plan()
        answer = await push.act(made["id"], "schedule")
        assert answer.status_code == 409
        assert answer.json()["detail"] == "活动当前为“发送中”，不能排期。"
        answer = await push.act(made["id"], "cancel")
        assert (answer.json()["state"], answer.json()["state_by"]) == ("cancelled", "Li Na")
        again = await push.act(made["id"], "cancel")
        assert again.json()["version"] == answer.json()["version"]
        halted = await push.ground.database.read(halts.halts)
        assert halted[UUID(made["id"])].state == "cancelled"

    async def test_a_schedule_needs_a_time_to_come(self, push: Served) -> None:
        made = await push.make_campaign()
        answer = await push.act(made["id"], "schedule")
        assert answer.json()["errors"][0] == {
            "field": "start_at",
            "reason": "required",
            "message": "请填写此项。",
        }
        late = await push.make_campaign(start_at=at(push, 1))
        push.clock.advance(7200)
        assert (await push.act(late["id"], "schedule")).json()["errors"][0][
            "reason"
        ] == "in_the_past"
        over = await push.make_campaign(until=at(push, 1))
        push.clock.advance(7200)
        assert (await push.act(over["id"], "start")).json()["errors"][0]["field"] == "until"

    async def test_unknown_ones(self, push: Served) -> None:
        missing = "01890000-0000-7000-8000-000000000000"
        assert (await push.act(missing, "start")).status_code == 404
        made = await push.make_campaign()
        assert (await push.act(made["id"], "explode")).status_code == 404


class TestEditing:
    async def test_a_running_campaign_is_paused_first(self, push: Served) -> None:
        await push.people(3)
        made = await push.make_campaign()
        await push.act(made["id"], "start")
        await push.plan()
        body = {
            "name": "Later",
            "segment_id": made["segment_id"],
            "template_id": made["template_id"],
            "priority": 1,
            "capped": False,
            "until": at(push, 9),
        }
        url = f"/v1/campaigns/{made['id']}"
        headers = push.admin | {"if-match": "*"}
        refused = await push.client.put(url, json=body, headers=headers)
        assert refused.status_code == 409
        await push.act(made["id"], "pause")
        answer = await push.client.put(url, json=body, headers=headers)
        assert (answer.status_code, answer.json()["name"]) == (200, "Later")
        rows = await push.ground.database.read(
            lambda s: s.execute(repository.LEDGER.select()).all()
        )
        assert {(row.priority, row.capped) for row in rows} == {(1, False)}
        assert all(row.expires_at is not None for row in rows)

    async def test_what_its_run_stands_on_is_locked(self, push: Served) -> None:
        made = await push.make_campaign()
        other = await push.make_template(name="Other")
        await push.act(made["id"], "start")
        await push.act(made["id"], "pause")
        body = {"name": "x", "segment_id": made["segment_id"], "template_id": other["id"]}
        answer = await push.client.put(
            f"/v1/campaigns/{made['id']}", json=body, headers=push.admin | {"if-match": "*"}
        )
        assert answer.status_code == 422
        error = answer.json()["errors"][0]
        assert (error["field"], error["reason"]) == ("template_id", "locked_by_run")

    async def test_somebody_was_faster(self, push: Served) -> None:
        made = await push.make_campaign()
        body = {"name": "x", "segment_id": made["segment_id"], "template_id": made["template_id"]}
        url = f"/v1/campaigns/{made['id']}"
        first = await push.client.put(url, json=body, headers=push.admin | {"if-match": '"1"'})
        assert first.headers["etag"] == '"2"'
        second = await push.client.put(url, json=body, headers=push.admin | {"if-match": '"1"'})
        assert second.status_code == 412
        without = await push.client.put(url, json=body, headers=push.admin)
        assert without.status_code == 428


class TestCounts:
    async def test_every_member_is_somewhere(self, push: Served) -> None:
        people = await push.people(9)
        push.profile.members.add(UUID("01890000-0000-7000-8000-000000000000"))
        made = await push.make_campaign()
        await push.act(made["id"], "start")
        await push.plan(60)
        await push.ground.database.transaction(
            lambda s: s.execute(
                update(repository.LEDGER)
                .where(repository.LEDGER.c.profile_id.in_(people[:4]))
                .values(state="dropped", reason="no_consent")
            )
        )
        push.clock.advance(2.1)
        answer = await push.client.get(f"/v1/campaigns/{made['id']}/counts", headers=push.reader)
        found = answer.json()
        assert found["planning_complete"]
        assert found["members"] == 10
        assert found["deliveries"] == [
            {"state": "dropped", "reason": "no_consent", "count": 4, "until": None},
            {"state": "planned", "reason": None, "count": 5, "until": None},
        ]
        assert found["skipped"] == {"not_known": 1}

    async def test_are_counted_at_most_every_two_seconds(self, push: Served) -> None:
        await push.people(2)
        made = await push.make_campaign()
        url = f"/v1/campaigns/{made['id']}/counts"
        await push.act(made["id"], "start")
        first = (await push.client.get(url, headers=push.reader)).json()
        await push.plan(3)
        assert (await push.client.get(url, headers=push.reader)).json() == first
        push.clock.advance(2.0)
        second = (await push.client.get(url, headers=push.reader)).json()
        assert (first["members"], second["members"]) == (0, 2)

"""`/v1/deliveries`, the unsubscribe call and the mailbox, through a whole system."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from services.push.deliveries.repository import LEDGER
from services.push.reach import repository as reach
from services.shared.ids import derived
from tests.ground import System, embedded_system

SOMEBODY = derived("somebody")
KEY = "key of somebody"


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with embedded_system(tmp_path, quiet_start="00:00", quiet_end="00:00") as system:
        yield system


async def key_of(system: System, *scopes: Any) -> dict[str, str]:
    secret = await system.embedded.keys.create("test", list(scopes))
    return {"authorization": f"Bearer {secret}"}


async def template(system: System, kind: str = "transactional") -> str:
    text = "Hi {{ name }}" + (" {{ unsubscribe_url }}" if kind == "marketing" else "")
    body = {
        "name": f"a {kind} one",
        "kind": kind,
        "variables": [{"name": "name", "default": "you", "field": "name"}],
        "default_language": "en",
        "contents": {"en": {"subject": "Hello {{ name }}", "text": text}},
    }
    made = await system.client.post("/v1/templates", json=body, headers=system.admin)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def somebody(system: System) -> None:
    """A person who is verified and agreed."""
    person = reach.Person(SOMEBODY, 1, "en", None, '{"name": "Ann"}')
    contact = reach.Contact(
        KEY, SOMEBODY, "email", "", "ann@shop.example", "abuse", datetime.now(UTC), None, True
    )
    database = system.grounds["push"].database
    await database.transaction(lambda s: reach.accept(s, [person], [contact]))


async def shown(system: System, delivery_id: str, *states: str) -> dict[str, Any]:
    """The delivery, as soon as it stands in one of `states`."""
    clock = system.clock
    end = clock.monotonic() + 15
    while True:
        answer = await system.client.get(f"/v1/deliveries/{delivery_id}", headers=system.admin)
        body: dict[str, Any] = answer.json()
        if body["state"] in states:
            return body
        assert clock.monotonic() < end, body
        await clock.sleep(0.02)


async def ask(system: System, body: Any, headers: dict[str, str]) -> httpx.Response:
    return await system.client.post("/v1/deliveries", json=body, headers=headers)


async def test_one_message_by_api_reaches_its_person_once(system: System):
    leads = await key_of(system, "leads")
    await somebody(system)
    body = {
        "cause_id": "order 7 shipped",
        "template_id": await template(system),
        "profile_id": str(SOMEBODY),
        "values": {"name": "Dr. Ann"},
    }
    first = await ask(system, body, leads)
    again = await ask(system, body, leads)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["new"] is True
    assert again.json() == {"delivery_id": first.json()["delivery_id"], "new": False}
    delivery_id = first.json()["delivery_id"]
    assert first.headers["location"] == f"/v1/deliveries/{delivery_id}"
    found = await shown(system, delivery_id, "sent")
    assert found["to"] == "a…@shop.example"
    assert [step["state"] for step in found["trace"]] == ["planned", "sending", "sent"]
    assert "ann@" not in str(found)
    mail = await system.client.get(f"/mailbox/messages/{delivery_id}", headers=system.admin)
    assert (mail.json()["subject"], mail.json()["text"].strip()) == ("Hello Dr. Ann", "Hi Dr. Ann")


async def test_marketing_to_a_typed_address_is_dropped_and_the_reason_readable(system: System):
    body = {
        "cause_id": "c",
        "template_id": await template(system, "marketing"),
        "contact": {"address": "stranger@shop.example"},
    }
    answer = await ask(system, body, system.admin)
    found = await shown(system, answer.json()["delivery_id"], "dropped")
    assert (found["reason"], found["trace"][-1]["reason"]) == ("no_consent", "no_consent")


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"template_id": str(SOMEBODY)}, "template_id", "no_such_thing"),
        ({"contact": {"address": "nobody"}}, "contact.address", "not_email"),
        ({"contact": {"channel": "qq", "address": "12345"}}, "contact.channel", "not_choice"),
        ({"contact": None, "profile_id": str(SOMEBODY)}, "profile_id", "no_such_thing"),
        ({"contact": None}, "body", "required"),
        ({"profile_id": str(SOMEBODY)}, "body", "required"),
        ({"cause_id": "a\nb"}, "cause_id", "forbidden_characters"),
        ({"to": "x"}, "to", "unknown_field"),
    ],
)
async def test_a_wrong_request_names_the_field(
    system: System, change: dict[str, Any], field: str, reason: str
):
    good: dict[str, Any] = {
        "cause_id": "c",
        "template_id": await template(system),
        "contact": {"address": "a@shop.example"},
    }
    answer = await ask(system, {**good, **change}, system.admin)
    assert answer.status_code == 422
    assert [(e["field"], e["reason"]) for e in answer.json()["errors"]] == [(field, reason)]


async def test_who_may_ask(system: System):
    read, leads = await key_of(system, "read"), await key_of(system, "leads")
    body = {"cause_id": "c", "template_id": str(SOMEBODY), "contact": {"address": "a@b.example"}}
    unsubscribe = {"contact_key": KEY, "at": "2026-03-02T04:00:00Z"}
    client = system.client
    assert (await ask(system, body, read)).status_code == 403
    assert (await ask(system, body, {})).status_code == 401
    assert (await client.get("/v1/deliveries/status", headers=leads)).status_code == 403
    assert (await client.post("/v1/deliveries/clock/confirm", headers=read)).status_code == 403
    push = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=system.embedded.apps["push"]), base_url="http://push"
    )
    async with push:
        answer = await push.post("/internal/unsubscribe", json=unsubscribe, headers=system.admin)
        assert answer.status_code == 403
    assert (await client.get("/mailbox")).status_code == 303
    assert (await client.get("/mailbox/messages")).status_code == 401


async def test_an_unsubscribe_stops_marketing_at_once(system: System):
    await somebody(system)
    neighbour = system.grounds["metrics"].neighbours["push"]
    told = await neighbour.post(
        "/internal/unsubscribe", {"contact_key": KEY, "at": "2026-03-02T04:00:00Z"}
    )
    assert told == {"known": True}
    body = {
        "cause_id": "c",
        "template_id": await template(system, "marketing"),
        "profile_id": str(SOMEBODY),
    }
    answer = await ask(system, body, system.admin)
    found = await shown(system, answer.json()["delivery_id"], "dropped")
    assert found["reason"] == "unsubscribed"


async def test_only_an_unknown_one_can_be_sent_again(system: System):
    await somebody(system)
    body = {
        "cause_id": "c",
        "template_id": await template(system),
        "profile_id": str(SOMEBODY),
    }
    delivery_id = (await ask(system, body, system.admin)).json()["delivery_id"]
    await shown(system, delivery_id, "sent")
    path = f"/v1/deliveries/{delivery_id}/resend"
    assert (await system.client.post(path, headers=system.admin)).status_code == 409
    database = system.grounds["push"].database
    await database.transaction(lambda s: s.execute(update(LEDGER).values(state="unknown")))
    assert (await system.client.post(path, headers=system.admin)).status_code == 200
    found = await shown(system, delivery_id, "sent")
    assert "resend" in [step["reason"] for step in found["trace"]]
    missing = f"/v1/deliveries/{SOMEBODY}"
    assert (await system.client.get(missing, headers=system.admin)).status_code == 404
    gone = await system.client.post(f"{missing}/resend", headers=system.admin)
    assert gone.status_code == 404


async def test_the_status_says_what_is_paused(system: System):
    answer = await system.client.get("/v1/deliveries/status", headers=system.admin)
    body = answer.json()
    assert [channel["channel"] for channel in body["channels"]] == ["email"]
    confirmed = await system.client.post("/v1/deliveries/clock/confirm", headers=system.admin)
    assert confirmed.json()["clock"] is None
    metrics = await system.client.get("/metrics")
    assert "baitwell_reach_view_age_seconds" in metrics.text

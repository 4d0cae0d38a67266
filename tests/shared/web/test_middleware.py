"""The edge: correlation, limits, and what is measured."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.shared.clock import VirtualClock
from services.shared.ids import Ids
from services.shared.telemetry import Telemetry
from services.shared.traffic import Traffic
from services.shared.web.edge import Edge
from services.shared.web.middleware import EdgeMiddleware
from tests.shared.web.conftest import LIMIT, Small

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
JSON = {"content-type": "application/json"}


async def test_a_correlation_id_is_made_and_handed_back(small: Small) -> None:
    answer = await small.client.get(f"/v1/notes/{ID}")
    assert answer.json()["correlation"] == answer.headers["x-request-id"]
    other = await small.client.get(f"/v1/notes/{ID}")
    assert other.headers["x-request-id"] != answer.headers["x-request-id"]


async def test_a_sane_one_is_taken_over(small: Small) -> None:
    answer = await small.client.get(f"/v1/notes/{ID}", headers={"x-request-id": "abc-12345.Z_9"})
    assert answer.headers["x-request-id"] == "abc-12345.Z_9"
    assert answer.json()["correlation"] == "abc-12345.Z_9"


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with spaces", "li.na@example.com", "a;b=c;d=e"]
)
async def test_any_other_is_replaced(small: Small, given: str) -> None:
    answer = await small.client.get(f"/v1/notes/{ID}", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] != given


async def test_every_answer_has_its_headers(small: Small) -> None:
    for path in (f"/v1/notes/{ID}", "/nowhere"):
        answer = await small.client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "strict-origin-when-cross-origin"


@pytest.mark.parametrize("path", ["/v1/notes", "/hot/x", "/v1/forms"])
async def test_a_body_that_says_that_it_is_too_large_is_refused_unread(
    small: Small, path: str
) -> None:
    answer = await small.client.post(path, content=b"x" * (LIMIT + 1), headers=JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["9" * 30, "0" * 5 + "9" * 10])
async def test_a_length_that_no_machine_could_hold_is_too_large(small: Small, length: str) -> None:
    answer = await small.client.post(
        "/v1/notes", content=b"{}", headers={**JSON, "content-length": length}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/v1/notes", "/hot/x"])
async def test_a_body_that_turns_out_too_large_is_refused_while_it_is_read(
    small: Small, path: str
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 300
            yield b" " * 300

    answer = await small.client.post(path, content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert sent < 2 * LIMIT, "it was read on after it was known to be too large"
    assert small.seen == []


async def test_a_body_as_large_as_allowed_is_taken(small: Small) -> None:
    body = b'{"name": "a"}'.ljust(LIMIT)
    assert (await small.client.post("/hot/x", content=body, headers=JSON)).status_code == 200


async def test_nothing_with_a_nul_gets_in(small: Small) -> None:
    assert (await small.client.get("/v1/notes/a%00b")).status_code == 404
    answer = await small.client.get(f"/v1/notes/{ID}?limit=1%00")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["reason"] == "forbidden_characters"


async def test_requests_are_measured_by_their_template_never_by_their_path(small: Small) -> None:
    await small.client.get(f"/v1/notes/{ID}")
    await small.client.get("/v1/notes/not-an-id")
    await small.client.post("/hot/some-slug", json={"name": "a"})
    await small.client.get("/nowhere/secret-token")
    await small.client.request("BREW", "/nowhere")
    await small.client.get("/bug")
    assert small.requests() == {
        ("/v1/notes/{note_id}", "GET", "200"): 1,
        ("/v1/notes/{note_id}", "GET", "422"): 1,
        ("/hot/{slug}", "POST", "200"): 1,
        ("unmatched", "GET", "404"): 1,
        ("unmatched", "other", "404"): 1,
        ("/bug", "GET", "500"): 1,
    }


async def test_probes_are_not_measured(small: Small) -> None:
    await small.client.get("/health/live")
    await small.client.get("/metrics")
    assert small.requests() == {}


async def test_whoever_is_slow_to_say_what_they_want_keeps_nobody_from_working() -> None:
    clock = VirtualClock()
    traffic = Traffic(clock)
    edge = Edge(
        service="small",
        telemetry=Telemetry(CollectorRegistry()),
        traffic=traffic,
        limit=lambda path: LIMIT,
        new_id=Ids(clock).new,
    )
    rest, answering = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await answering.wait()

    async def receive() -> dict[str, Any]:
        await rest.wait()
        return {"type": "http.request", "body": b"all of it"}

    async def send(message: Any) -> None: ...

    asked = EdgeMiddleware(app, edge=edge)
    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    callers = [asyncio.ensure_future(asked(dict(scope), receive, send)) for _ in range(30)]
    await asyncio.sleep(0)
    clock.advance(1)
    assert traffic.pressure == 0
    rest.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert traffic.pressure == 1, "now they wait for us"
    answering.set()
    await asyncio.gather(*callers)
    clock.advance(1)
    assert traffic.pressure == 0

"""Every error through a real app: its status, its document, its page, its headers."""

import logging
from typing import Any

import pytest

from services.shared import errors
from services.shared.errors import Problem
from tests.shared.test_errors import STATUSES
from tests.shared.web.conftest import Small

BROWSER = {"accept": "text/html,application/xhtml+xml"}
OURS = sorted(set(STATUSES) - {"Problem"})


@pytest.mark.parametrize("name", OURS)
async def test_every_error_is_a_problem_document(small: Small, name: str) -> None:
    kind: type[Problem] = getattr(errors, name)
    answer = await small.client.get(f"/raise/{name}", headers={"accept-language": "en"})
    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == kind.status
    assert body["detail"] == "the detail"
    assert body["instance"] == f"urn:baitwell:request:{answer.headers['x-request-id']}"


@pytest.mark.parametrize("name", OURS)
async def test_a_browser_gets_a_page_but_not_from_the_api(small: Small, name: str) -> None:
    page = await small.client.get(f"/raise/{name}", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert page.status_code == getattr(errors, name).status
    document = await small.client.get(f"/v1/raise/{name}", headers=BROWSER)
    assert document.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ({"accept-language": "en-GB,en;q=0.9"}, "en"),
        ({"accept-language": "zh-TW,zh;q=0.9,en;q=0.8"}, "zh-CN"),
        ({"accept-language": "fr, en;q=0.3, zh;q=0.2"}, "en"),
        ({"accept-language": "fr"}, "zh-CN"),
        ({"accept-language": "en;q=0, zh;q=0.1"}, "zh-CN"),
        ({"accept-language": ";;q=,=;q=x,en;q=nan"}, "zh-CN"),
        ({}, "zh-CN"),
    ],
)
async def test_the_callers_language_is_spoken(
    small: Small, asked: dict[str, str], language: str
) -> None:
    answer = await small.client.get("/raise/NotFound", headers=asked)
    assert answer.headers["content-language"] == language


async def test_an_address_can_ask_for_a_language(small: Small) -> None:
    answer = await small.client.get("/raise/NotFound?lang=en", headers={"accept-language": "zh"})
    assert answer.json()["title"] == "Not found"


async def test_an_outage_says_when_to_come_again(small: Small) -> None:
    answer = await small.client.get("/raise/DatabaseUnavailable")
    assert answer.headers["retry-after"] == "2"


async def test_who_is_not_known_is_asked_for_a_key(small: Small) -> None:
    assert (await small.client.get("/raise/Unauthenticated")).headers[
        "www-authenticate"
    ] == "Bearer"


async def test_what_is_not_there_and_what_is_not_allowed(small: Small) -> None:
    assert (await small.client.get("/nowhere")).status_code == 404
    answer = await small.client.delete("/v1/notes")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/notes/not-an-id", "note_id"),
        ("/v1/notes/01890a5d-ac96-774b-bcce-b302099a8057?limit=x", "limit"),
    ],
)
async def test_a_wrong_parameter_is_named(small: Small, path: str, field: str) -> None:
    answer = await small.client.get(path)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


async def test_a_bug_says_nothing_of_what_it_was_about(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await small.client.get("/bug", headers={"x-request-id": "of-the-caller"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "li.na" not in answer.text
    assert answer.headers["x-request-id"] == "of-the-caller"
    assert answer.json()["instance"] == "urn:baitwell:request:of-the-caller"
    (record,) = [r for r in caplog.records if r.name.startswith("services.")]
    assert "li.na" not in record.getMessage()


async def test_who_goes_away_before_all_is_said_is_no_error_of_ours(
    small: Small, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/hot/x",
        "raw_path": b"/hot/x",
        "query_string": b"",
        "headers": headers,
        "state": {},
    }
    await small.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert caplog.text == ""

"""Who may call: keys in the header, sessions in the cookie, and no post from another site."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.shared.auth.access import (
    SESSION_COOKIE,
    AdminCaller,
    InternalCaller,
    ReadCaller,
)
from services.shared.auth.keys import Keys, Scope
from services.shared.clock import VirtualClock
from services.shared.ids import Ids
from services.shared.web.problems import handle_problems
from tests.ground import sqlite_database

ORIGIN = "https://bait.example"


@dataclass
class Site:
    """An app with an endpoint per scope."""

    client: httpx.AsyncClient
    keys: Keys

    async def key(self, *scopes: Scope) -> dict[str, str]:
        return {"authorization": f"Bearer {await self.keys.create('k', scopes)}"}

    async def cookie(self, *scopes: Scope) -> dict[str, str]:
        value = await self.keys.log_in(await self.keys.create("k", scopes))
        return {"cookie": f"{SESSION_COOKIE}={value}"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    database = sqlite_database(tmp_path / "auth.sqlite", "auth")
    clock = VirtualClock()
    app = FastAPI()
    handle_problems(app)
    app.state.keys = Keys(database, clock, Ids(clock))
    app.state.public_origin = ORIGIN

    @app.api_route("/read", methods=["GET", "POST"])
    async def read(caller: ReadCaller) -> str:
        return caller.name

    @app.api_route("/admin", methods=["GET", "POST", "DELETE"])
    async def admin(caller: AdminCaller) -> str:
        return caller.name

    @app.get("/internal")
    async def internal(caller: InternalCaller) -> str:
        return caller.name

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield Site(client, app.state.keys)
    await database.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer bw_wrong"},
        {"authorization": "Basic YTpi"},
        {"cookie": f"{SESSION_COOKIE}=bws_wrong"},
        {"cookie": f"{SESSION_COOKIE}="},
    ],
    ids=repr,
)
async def test_who_is_not_known_is_asked_to_say_who_they_are(
    site: Site, headers: dict[str, str]
) -> None:
    assert (await site.client.get("/read", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"/read"}),
        ("admin", {"/read", "/admin"}),
        ("internal", {"/internal"}),
        ("leads", set()),
        ("report", set()),
    ],
)
async def test_a_key_opens_what_its_scope_says(site: Site, scope: Scope, allowed: set[str]) -> None:
    headers = await site.key(scope)
    for path in ("/read", "/admin", "/internal"):
        status = (await site.client.get(path, headers=headers)).status_code
        assert status == (200 if path in allowed else 403), path


async def test_the_word_bearer_is_read_in_any_case(site: Site) -> None:
    key = (await site.key("read"))["authorization"].removeprefix("Bearer ")
    answer = await site.client.get("/read", headers={"authorization": f"bearer  {key}"})
    assert answer.status_code == 200


async def test_a_key_needs_no_origin(site: Site) -> None:
    headers = {**await site.key("admin"), "origin": "https://shop.example"}
    assert (await site.client.post("/admin", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("where_from", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": ORIGIN}, 200),
        ({"origin": ORIGIN}, 200),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": f"{ORIGIN}.evil.example"}, 403),
        ({"origin": "http://bait.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, 403),
    ],
    ids=repr,
)
async def test_a_form_of_another_site_does_not_act_for_an_operator(
    site: Site, where_from: dict[str, str], status: int
) -> None:
    cookie = await site.cookie("admin")
    for method in ("POST", "DELETE"):
        answer = await site.client.request(method, "/admin", headers={**cookie, **where_from})
        assert answer.status_code == status


async def test_an_operator_who_follows_a_link_may_look(site: Site) -> None:
    headers = {**await site.cookie("read"), "sec-fetch-site": "cross-site"}
    assert (await site.client.get("/read", headers=headers)).status_code == 200


async def test_a_session_of_a_reader_is_no_admin(site: Site) -> None:
    headers = {**await site.cookie("read"), "sec-fetch-site": "same-origin"}
    assert (await site.client.post("/admin", headers=headers)).status_code == 403

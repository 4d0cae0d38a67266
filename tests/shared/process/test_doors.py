"""Hot requests over real connections: by the door when they are ordinary, by ASGI else, and answered alike."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from services.shared import correlation
from services.shared.clock import SystemClock
from services.shared.errors import Conflict, Problem
from services.shared.ids import Ids
from services.shared.process.serve import listen, serve
from services.shared.telemetry import Telemetry
from services.shared.traffic import Traffic
from services.shared.web.edge import Edge, Header
from services.shared.web.hot import Answer, Asked, Door, Head, HotApp, problem_answer
from services.shared.web.middleware import EdgeMiddleware
from services.shared.web.problems import handle_problems
from tests.components.waiting import PATIENCE, eventually

LIMIT = 100
OK = Head(200, [(b"content-type", b"text/plain")])


class Echo:
    """Says what it was asked, once it may."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0

    def template(self, method: str, path: str) -> str | None:
        return "/hot/{word}" if path.startswith("/hot/") else None

    async def answer(self, asked: Asked) -> Answer:
        self.asked += 1
        await self.open.wait()
        word = asked.path.removeprefix("/hot/")
        if word == "bug":
            raise LookupError("li.na@example.com")
        try:
            if word == "conflict":
                raise Conflict
        except Problem as problem:
            return problem_answer(asked, problem)
        text = f"{word}|{asked.query.decode()}|{asked.body.decode()}|{correlation.current()}"
        return Answer(OK, text.encode(), ((b"x-word", word.encode()),))


class House:
    """An app with one door, which counts who came in how."""

    def __init__(self) -> None:
        self.route = Echo()
        self.registry = CollectorRegistry()
        clock = SystemClock()
        self.traffic = Traffic(clock)
        edge = Edge(
            service="house",
            telemetry=Telemetry(self.registry),
            traffic=self.traffic,
            limit=lambda _path: LIMIT,
            new_id=Ids(clock).new,
        )
        self.by_door = self.by_asgi = 0
        self._door = Door(self.route, edge, handle_problems(FastAPI()))
        self._hot = HotApp(self.route)
        self._inner = EdgeMiddleware(self._hot, edge=edge)

    def admits(
        self, method: str, path: str, query: bytes, headers: Sequence[Header]
    ) -> tuple[Door, str] | None:
        template = self._door.admits(method, path, query, headers)
        if template is None:
            return None
        self.by_door += 1
        return self._door, template

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.by_asgi += 1
        assert self._hot.takes(scope)
        await self._inner(scope, receive, send)

    def measured(self) -> dict[tuple[str, str, str], float]:
        return {
            (s.labels["route"], s.labels["method"], s.labels["status"]): s.value
            for metric in self.registry.collect()
            for s in metric.samples
            if s.name == "baitwell_request_duration_seconds_count"
        }


@asynccontextmanager
async def serving(house: House) -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    ready, stop = asyncio.Event(), asyncio.Event()
    server = asyncio.create_task(serve(house, listener, ready.set, stop))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        yield listener.getsockname()[1]
        stop.set()
        await server


class Caller:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], str]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body.decode()


@asynccontextmanager
async def calling(port: int) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Caller(reader, writer)
    writer.close()
    await writer.wait_closed()


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def post(path: str, body: str, *headers: str) -> bytes:
    length = f"Content-Length: {len(body)}"
    return get(path, length, *headers).replace(b"GET", b"POST") + body.encode()


GIVEN = "X-Request-ID: of-the-caller"


@pytest.mark.parametrize(
    ("request_", "by_door"),
    [
        (get("/hot/a?q=1", GIVEN), True),
        (post("/hot/a?q=1", "", GIVEN), True),
        (get("/hot/%61?q=1", GIVEN), False),
        (get("/hot/a?q=1", GIVEN, "Connection: close"), False),
    ],
)
async def test_both_ways_give_the_same_answer(request_: bytes, by_door: bool) -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        caller.writer.write(request_)
        status, headers, body = await caller.answer()
    assert (status, body) == (200, "a|q=1||of-the-caller")
    assert headers["x-request-id"] == "of-the-caller"
    assert headers["x-word"] == "a"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert "date" in headers
    assert (house.by_door, house.by_asgi) == ((1, 0) if by_door else (0, 1))
    assert house.measured() == {("/hot/{word}", request_.split()[0].decode(), "200"): 1}
    assert house.traffic.pressure < 1


async def test_a_body_that_comes_in_parts_is_read_whole() -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        whole = post("/hot/a", "one two three")
        for at in range(0, len(whole), 7):
            caller.writer.write(whole[at : at + 7])
            await caller.writer.drain()
        _, _, body = await caller.answer()
    assert body.startswith("a||one two three|")
    assert house.by_door == 1


async def test_what_is_too_large_is_refused_and_never_asked() -> None:
    house = House()
    async with serving(house) as port:
        chunks = b"".join(b"9\r\nsome more\r\n" for _ in range(20)) + b"0\r\n\r\n"
        chunked = get("/hot/a", "Transfer-Encoding: chunked").replace(b"GET", b"POST") + chunks
        for request in (post("/hot/a", "x" * (LIMIT + 1)), chunked):
            async with calling(port) as caller:
                caller.writer.write(request)
                assert (await caller.answer())[0] == 413
    assert house.route.asked == 0


@pytest.mark.parametrize("query", ["q=%00", "q=%00&u=1"])
async def test_what_the_edge_refuses_is_refused(query: str) -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        caller.writer.write(get(f"/hot/a?{query}"))
        assert (await caller.answer())[0] == 422
    assert house.route.asked == 0


async def test_requests_sent_together_are_answered_in_order() -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        caller.writer.write(get("/hot/a") + post("/hot/b", "body") + get("/hot/c") + get("/hot/d"))
        words = [(await caller.answer())[2].split("|")[0] for _ in range(4)]
        caller.writer.write(get("/hot/e"))
        words.append((await caller.answer())[2].split("|")[0])
    assert words == ["a", "b", "c", "d", "e"]
    assert house.route.asked == 5


async def test_a_bug_is_answered_and_says_nothing_of_what_it_was_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        caller.writer.write(get("/hot/bug", GIVEN))
        status, headers, body = await caller.answer()
        caller.writer.write(get("/hot/a"))
        assert (await caller.answer())[0] == 200
    assert status == 500
    assert headers["x-request-id"] == "of-the-caller"
    assert "li.na" not in body
    assert "li.na" not in "".join(record.getMessage() for record in caplog.records)
    assert house.measured()["/hot/{word}", "GET", "500"] == 1


async def test_a_problem_is_answered_in_the_callers_language() -> None:
    house = House()
    async with serving(house) as port, calling(port) as caller:
        caller.writer.write(get("/hot/conflict", GIVEN, "Accept-Language: en"))
        status, headers, body = await caller.answer()
    assert (status, headers["content-language"]) == (409, "en")
    assert "urn:baitwell:request:of-the-caller" in body


async def test_who_has_gone_is_not_answered_and_the_next_one_is() -> None:
    house = House()
    house.route.open.clear()
    async with serving(house) as port:
        async with calling(port) as gone:
            gone.writer.write(get("/hot/a"))
            await eventually(lambda: house.route.asked, "it is being answered")
        house.route.open.set()
        async with calling(port) as caller:
            caller.writer.write(get("/hot/b"))
            assert (await caller.answer())[0] == 200


async def test_what_is_under_way_when_the_server_stops_is_answered() -> None:
    house = House()
    house.route.open.clear()
    listener = listen("127.0.0.1", 0)
    ready, stop = asyncio.Event(), asyncio.Event()
    server = asyncio.create_task(serve(house, listener, ready.set, stop))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        async with calling(listener.getsockname()[1]) as caller:
            caller.writer.write(get("/hot/a"))
            await eventually(lambda: house.route.asked, "it is being answered")
            stop.set()
            await eventually(lambda: listener.fileno() < 0, "the server listens no more")
            house.route.open.set()
            status, headers, _ = await caller.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert await caller.reader.read() == b""
        await server

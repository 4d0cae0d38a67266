"""Answers over real connections: whole, in parts, one after the other, and when the app fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from services.shared.process.serve import listen, serve
from tests.components.waiting import PATIENCE


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    path = scope["path"]
    if path == "/fails-at-once":
        raise LookupError(path)
    headers = [] if path == "/parts" else [(b"content-length", b"%d" % len(path))]
    if path == "/splits":
        headers.append((b"vary", b"a\r\nset-cookie: b"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/fails":
        raise LookupError(path)
    if path == "/parts":
        for part in (b"one", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": path.encode()})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    listener = listen("127.0.0.1", 0)
    ready, stop = asyncio.Event(), asyncio.Event()
    server = asyncio.create_task(serve(app, listener, ready.set, stop))
    async with asyncio.timeout(PATIENCE):
        await ready.wait()
        yield listener.getsockname()[1]
        stop.set()
        await server


async def talk(port: int, text: str) -> str:
    """Everything that comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.encode())
    answer = await reader.read()
    writer.close()
    return answer.decode()


def get(path: str, *, last: bool = True) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n{'Connection: close' if last else 'X: y'}\r\n\r\n"


async def test_an_answer_comes_whole_and_the_connection_ends_when_asked() -> None:
    async with serving() as port:
        head, _, body = (await talk(port, get("/hello"))).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "content-length: 6" in head
    assert "connection: close" in head
    assert body == "/hello"


async def test_an_answer_in_parts_is_chunked() -> None:
    async with serving() as port:
        answer = await talk(port, get("/parts"))
    assert "transfer-encoding: chunked" in answer
    assert answer.endswith("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_requests_sent_together_are_answered_in_order() -> None:
    async with serving() as port:
        answer = await talk(port, get("/a", last=False) + get("/b", last=False) + get("/c"))
    assert [part[:2] for part in answer.split("\r\n\r\n")[1:]] == ["/a", "/b", "/c"]


async def test_whether_the_connection_is_kept_changes_nothing_else() -> None:
    async with serving() as port:
        answer = await talk(port, get("/kept", last=False) + get("/kept"))
    kept, last = (sorted(part.strip().split("\r\n")) for part in answer.split("/kept")[:2])
    assert "connection: close" not in kept
    assert [line[:5] for line in last if line != "connection: close"] == [line[:5] for line in kept]


async def test_a_header_that_would_begin_another_is_not_sent() -> None:
    async with serving() as port:
        assert "set-cookie" not in await talk(port, get("/splits", last=False))


async def test_head_has_no_body() -> None:
    async with serving() as port:
        answer = await talk(port, get("/hello").replace("GET", "HEAD"))
    assert answer.endswith("\r\n\r\n")
    assert "content-length: 6" in answer


@pytest.mark.parametrize("path", ["/fails-at-once", "/fails"])
async def test_an_app_that_fails_before_it_said_anything_answers_500(path: str) -> None:
    async with serving() as port:
        assert (await talk(port, get(path))).startswith("HTTP/1.1 500 ")

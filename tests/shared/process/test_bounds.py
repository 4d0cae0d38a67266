"""What one connection may take: endless heads are cut off, and who does not get on is let go."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop

from services.shared.process.bounds import Patience
from services.shared.process.protocol import OneWriteProtocol
from services.shared.process.serve import listen
from tests.components.waiting import PATIENCE, eventually

LONG = 1_000_000
"""Far more than a head may have."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    length = 0
    while scope["method"] == "POST":
        message = await receive()
        length += len(message.get("body", b""))
        if message["type"] == "http.disconnect":
            return
        if not message.get("more_body"):
            break
    body = b"x" * LONG * 20 if scope["path"] == "/much" else b"%d" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[int, set[Any]]]:
    """A port, and the server's connections."""
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, http=OneWriteProtocol, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await eventually(lambda: server.started, "it serves")
    try:
        yield listener.getsockname()[1], server.server_state.connections
    finally:
        server.should_exit = server.force_exit = True
        await task


async def sent(port: int, *parts: bytes) -> bytes:
    """What comes back for a request that is sent in parts, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    async with asyncio.timeout(PATIENCE):
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            answer = await reader.read()
        except ConnectionError:  # closed while there was more to come
            pass
        writer.close()
    return answer


@pytest.mark.parametrize(
    "head",
    [b"GET /", b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", b"GET / HTTP/1.1\r\n"],
    ids=["address", "header", "headers"],
)
async def test_a_head_without_end_is_cut_off(head: bytes) -> None:
    more = b"X-More: a\r\n" * 100 if head.endswith(b"\r\n") else b"a" * 1000
    async with serving() as (port, connections):
        await sent(port, head, *([more] * (LONG // len(more))))
        await eventually(lambda: not connections, "the connection is closed")


async def test_what_was_too_large_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (port, _):
        answer = await sent(port, b"GET / HTTP/1.1\r\nX-Long: ", b"a" * 40_000, b"a" * 40_000)
    assert answer.startswith(b"HTTP/1.1 431 ") or not answer, "a reset may overtake the answer"


@pytest.mark.parametrize("way", ["POST", "GET"])
async def test_what_stands_around_a_body_in_chunks_has_an_end(way: str) -> None:
    """The lines after the last chunk are kept as headers are, whether or not anybody reads the body."""
    head = (
        f"{way} / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-End: "
    )
    async with serving() as (port, connections):
        await sent(port, head.encode(), *([b"a" * 1000] * (LONG // 1000)))
        await eventually(lambda: not connections, "the connection is closed")


async def test_bodies_are_as_long_as_their_service_takes_them() -> None:
    small = b"1\r\na\r\n" * LONG
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    async with serving() as (port, _):
        plain = await sent(port, head + b"Content-Length: 5000000\r\n\r\n", *[b"a" * 500_000] * 10)
        chunks = await sent(port, head + b"Transfer-Encoding: chunked\r\n\r\n", small, b"0\r\n\r\n")
    assert plain.endswith(b"\r\n\r\n5000000")
    assert chunks.endswith(b"\r\n\r\n1000000")


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
STALLS = {
    "nothing": (b"", 20),
    "head": (b"POST / HTTP/1.1\r\nHo", 20),
    "body": (HEAD + b"Content-Length: 1600\r\n\r\nab", 30),
    "long body": (HEAD + b"Content-Length: 16384000\r\n\r\nab", 1030),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", 94),
    "reading": (b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n", 60),
}


@pytest.mark.parametrize("stall", STALLS)
async def test_who_does_not_get_on_is_let_go_after_its_time(stall: str) -> None:
    said, allowed = STALLS[stall]
    patience = Patience()
    async with serving() as (port, connections):
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(said)
            await eventually(lambda: connections, "it is connected")
            (connection,) = connections
            if stall == "reading":
                await eventually(lambda: _full(connection), "nothing more can be written")
            elif b"\r\n\r\n" in said:
                await eventually(lambda: connection.cycle, "the head is read")
            patience.look(connections, 1000.0)
            assert patience.look(connections, 1000.0 + allowed - 1) == 0
            assert patience.look(connections, 1000.0 + allowed + 1) == 1
            await eventually(lambda: not connections, "the connection is closed")


def _full(connection: Any) -> bool:
    """Whether what is written has stood still for a few turns of the loop."""
    if not (size := connection.transport.get_write_buffer_size()):
        return False
    connection.sizes = [*getattr(connection, "sizes", []), size][-10:]
    return connection.sizes == [size] * 10


def test_who_asks_much_at_once_and_goes_away_leaves_no_errors_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async with serving() as (port, connections):
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.sendall(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
                await asyncio.to_thread(caller.recv, 100)
                caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await eventually(lambda: not connections, "the connection is closed")

    uvloop.run(main())
    assert "Exception" not in caplog.text


async def test_who_gets_on_may_stay() -> None:
    """Requests one after the other, however long that goes on, and a pause between them."""
    patience = Patience()
    async with serving() as (port, connections):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(5):
            writer.write(HEAD + b"Content-Length: 2\r\n\r\na")
            await eventually(
                lambda: any(one.cycle and one.cycle.more_body for one in connections),
                "half of it is there",
            )
            assert patience.look(connections, 1000.0 + 20 * number) == 0
            writer.write(b"b")
            await reader.readuntil(b"\r\n\r\n2")
            assert patience.look(connections, 1000.0 + 20 * number + 10) == 0
        writer.close()

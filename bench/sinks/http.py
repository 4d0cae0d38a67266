"""An HTTP sink for webhooks: raw protocol, faults by the local part of the recipient in the body.

    python -m bench.sinks.http --port 8025 [--record FILE] [--delay 0.05] [--misbehave]

It prints `ready <port>` and, when it is stopped, how many requests it took. Faults:

    status-429@  status-429-7@   this status, the second with `Retry-After: 7`
    date-503@                    503 with a Retry-After date an hour after the sink's `Date`
    redirect@                    302 to another path of this sink
    drop@                        cut before the answer; drop-after-body@ recorded, then cut
    slow@                        answered after 10 seconds (--stall), or when a test sets `release`
"""

import argparse
import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import cast

from bench.sinks.record import Record

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STATUS = re.compile(r"status-(\d{3})(?:-(\d+))?")


@dataclass(slots=True)
class Options:
    """How a sink behaves."""

    delay: float = 0.0
    misbehave: bool = False
    stall: float = 10.0
    keep: bool = False


@dataclass(slots=True)
class Request:
    """A request that was kept."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Sink:
    """What all sessions share."""

    options: Options
    record: Record
    count: int = 0
    requests: list[Request] = field(default_factory=list)
    sessions: set["Session"] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)


class Session(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self.late: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's
        self.transport = cast(asyncio.Transport, transport)
        self.sink.sessions.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.sink.sessions.discard(self)
        self.transport = None
        if self.late is not None:
            self.late.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.transport is not None:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            found = _LENGTH.search(head)
            length = int(found[1]) if found else 0
            if not end or len(rest) < length:
                return
            self.buffer = rest[length:]
            self.request(head.decode("latin-1"), rest[:length])

    def request(self, head: str, body: bytes) -> None:
        line, *fields = head.split("\r\n")
        headers = {}
        for each in fields:
            name, _, value = each.partition(":")
            headers[name.lower()] = value.strip()
        recipient = _recipient(body)
        local = recipient.partition("@")[0] if self.sink.options.misbehave else ""
        if local == "drop":
            self.cut()
            return
        found = _STATUS.fullmatch(local)
        if found:
            extra = f"Retry-After: {found[2]}\r\n" if found[2] else ""
            self.answer(int(found[1]), extra)
            return
        if local == "date-503":
            moment = datetime.now(UTC) + timedelta(hours=1)
            self.answer(503, f"Retry-After: {format_datetime(moment, usegmt=True)}\r\n")
            return
        if local == "redirect":
            self.answer(302, "Location: /elsewhere\r\n")
            return
        self.sink.record.add(headers.get("webhook-id", "").encode(), recipient.encode())
        self.sink.count += 1
        if self.sink.options.keep:
            self.sink.requests.append(Request(line, headers, body))
        if local == "drop-after-body":
            self.cut()
        elif local == "slow":
            self.late = asyncio.get_running_loop().create_task(self.answer_late())
        elif self.sink.options.delay:
            asyncio.get_running_loop().call_later(self.sink.options.delay, self.answer, 200)
        else:
            self.answer(200)

    def answer(self, status: int, extra: str = "") -> None:
        if self.transport is not None:
            head = f"HTTP/1.1 {status} said\r\n{extra}Content-Length: 0\r\n\r\n"
            self.transport.write(head.encode())

    async def answer_late(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.sink.options.stall):
                await self.sink.release.wait()
        self.answer(200)

    def cut(self) -> None:
        if self.transport is not None:
            self.transport.close()
            self.transport = None


def _recipient(body: bytes) -> str:
    try:
        return str(json.loads(body)["data"]["to"])
    except (ValueError, KeyError, TypeError):
        return ""


@contextlib.asynccontextmanager
async def running(
    options: Options, *, port: int = 0, record: Path | None = None
) -> AsyncIterator[tuple[Sink, int]]:
    """A sink on loopback while the block runs; yields the sink and its port."""
    sink = Sink(options, Record(record))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(sink), "127.0.0.1", port, backlog=512)
    try:
        yield sink, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for session in list(sink.sessions):
            if session.transport is not None:
                session.transport.abort()
        await server.wait_closed()
        sink.record.close()


async def _serve(arguments: argparse.Namespace) -> None:
    options = Options(delay=arguments.delay, misbehave=arguments.misbehave, stall=arguments.stall)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with running(options, port=arguments.port, record=arguments.record) as (sink, port):
        print(f"ready {port}", flush=True)
        await stop.wait()
        print(f"messages {sink.count}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="An HTTP sink for webhooks.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--stall", type=float, default=10.0, help="seconds that slow@ waits")
    parser.add_argument("--misbehave", action="store_true")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()

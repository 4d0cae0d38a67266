"""An SMTP sink: a raw protocol for load, the same with faults that the recipient's address asks for.

    python -m bench.sinks.smtp --port 2525 [--record FILE] [--delay 0.05] [--misbehave] [--only-signed]

It prints `ready <port>` and, when it is stopped, how many messages it took. Faults by local part:

    hard-550-5.1.1@      any word, a code and perhaps an enhanced code: the answer to RCPT
    dot-554-5.7.1@       the answer to the final dot; data-451@ to DATA; mail-451@ to the next MAIL
    grey-451@            refused once per address, then taken
    slow@  slow-3@       the final dot is answered after 10 (3) seconds, or when a test sets `release`
    tarpit@              every answer of this transaction comes one octet at a time
    drop-after-dot@      taken and recorded, then cut without an answer
    drop-before-dot@     cut instead of the answer to DATA
    closing-421@         421 to RCPT, then cut
    wrong-250@           250 instead of 354; wrong-354@ 354 to the final dot; babble@ no code at all
    reject-data@         RCPT refused, yet DATA granted with 354 (RFC 2920, 3.1)
"""

import argparse
import asyncio
import contextlib
import re
import signal
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from bench.sinks.record import Record

_SCRIPTED = re.compile(rb"[a-z]+-([245]\d\d)(?:-(\d\.\d{1,3}\.\d{1,3}))?")
_AT_STAGE = re.compile(rb"(dot|data|mail)-([245]\d\d)(?:-(\d\.\d{1,3}\.\d{1,3}))?")
_END = b"\r\n.\r\n"


@dataclass(slots=True)
class Options:
    """How a sink behaves."""

    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 10485760", "8BITMIME", "SMTPUTF8")
    greeting: str = "220 sink.example ESMTP"
    delay: float = 0.0
    misbehave: bool = False
    stall: float = 10.0
    drip: float = 0.05
    keep: bool = False
    only_signed: bool = False
    user: str | None = None
    password: str | None = None


@dataclass(slots=True)
class Taken:
    """A message that was kept: envelope, raw bytes as sent, dots unstuffed."""

    sender: bytes
    recipient: bytes
    raw: bytes


@dataclass(slots=True)
class Sink:
    """What all sessions share."""

    options: Options
    record: Record
    count: int = 0
    taken: list[Taken] = field(default_factory=list)
    refused_once: set[bytes] = field(default_factory=set)
    sessions: set["Session"] = field(default_factory=set)
    commands: list[bytes] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)


class Session(asyncio.Protocol):
    """One connection. Answers to everything that came in one chunk leave in one write."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.options = sink.options
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.out: list[bytes] = []
        self.in_data = False
        self.rejected = False
        self.sender = b""
        self.recipient = b""
        self.next_mail: bytes | None = None
        self.blocked = False
        self.dripping = False
        self.tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's
        self.transport = cast(asyncio.Transport, transport)
        self.sink.sessions.add(self)
        self.say(self.options.greeting.encode())
        self.flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.sink.sessions.discard(self)
        self.transport = None
        for task in self.tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        self.work()

    def work(self) -> None:
        while self.buffer and not self.blocked and self.transport is not None:
            if not (self.take_body() if self.in_data else self.take_line()):
                break
        self.flush()

    # reading

    def take_line(self) -> bool:
        line, end, rest = self.buffer.partition(b"\r\n")
        if not end:
            return False
        self.buffer = rest
        verb = line[:4].upper()
        if verb == b"MAIL":
            self.mail(line)
        elif verb == b"RCPT":
            self.rcpt(line)
        elif verb == b"DATA":
            self.data()
        else:
            self.other(verb, line)
        return True

    def take_body(self) -> bool:
        if self.buffer.startswith(b".\r\n"):
            end, skip = 0, 3
        else:
            end, skip = self.buffer.find(_END) + 2, 3
            if end == 1:
                return False
        raw, self.buffer = self.buffer[:end], self.buffer[end + skip :]
        self.in_data = False
        if self.rejected:
            self.say(b"554 5.5.1 no valid recipients")
        else:
            self.dot(raw)
        return True

    # the transaction

    def mail(self, line: bytes) -> None:
        self.sender = line[line.find(b"<") + 1 : line.find(b">")]
        self.recipient, self.rejected = b"", False
        if self.next_mail is not None:
            self.say(self.next_mail)
            self.next_mail, self.sender = None, b""
            return
        self.say(b"250 2.1.0 ok")

    def rcpt(self, line: bytes) -> None:
        if not self.sender:
            self.say(b"503 5.5.1 MAIL first")
            return
        self.recipient = line[line.find(b"<") + 1 : line.find(b">")]
        if self.options.misbehave and self.misbehaves_at_rcpt(self.recipient):
            return
        self.say(b"250 2.1.5 ok")

    def misbehaves_at_rcpt(self, recipient: bytes) -> bool:
        local = recipient.partition(b"@")[0]
        if local == b"tarpit":
            self.dripping = True
        if local == b"closing-421":
            self.say(b"421 4.3.2 closing")
            self.cut()
            return True
        if local == b"reject-data":
            self.rejected = True
            self.say(b"550 5.1.1 no such user")
            return True
        scripted = _SCRIPTED.fullmatch(local)
        if scripted is None or _AT_STAGE.fullmatch(local) or local.startswith(b"wrong"):
            return False
        if local.startswith(b"grey"):
            if recipient in self.sink.refused_once:
                return False
            self.sink.refused_once.add(recipient)
        self.recipient = b""
        self.say(_reply(scripted[1], scripted[2], b"<%b> refused by script" % recipient))
        return True

    def data(self) -> None:
        local = self.recipient.partition(b"@")[0] if self.options.misbehave else b""
        staged = _AT_STAGE.fullmatch(local)
        if local == b"drop-before-dot":
            self.cut()
        elif local == b"wrong-250":
            self.say(b"250 2.0.0 surprise")
        elif staged is not None and staged[1] == b"data":
            self.say(_reply(staged[2], staged[3], b"refused by script"))
        elif not self.recipient:
            self.say(b"503 5.5.1 no valid recipients")
        else:
            self.in_data = True
            self.say(b"354 go on")

    def dot(self, raw: bytes) -> None:
        local = self.recipient.partition(b"@")[0] if self.options.misbehave else b""
        staged = _AT_STAGE.fullmatch(local)
        if self.options.only_signed and not raw.startswith(b"DKIM-Signature:"):
            self.say(b"550 5.7.20 no signature")
            return
        if staged is not None and staged[1] == b"dot":
            self.say(_reply(staged[2], staged[3], b"refused by script"))
            return
        if staged is not None and staged[1] == b"mail":
            self.next_mail = _reply(staged[2], staged[3], b"refused by script")
        self.keep(raw)
        if local == b"drop-after-dot":
            self.cut()
        elif local == b"wrong-354":
            self.say(b"354 go on")
        elif local == b"babble":
            self.say(b"what did you say")
        elif local.startswith(b"slow"):
            seconds = float(local[5:] or self.options.stall)
            self.stall(seconds, b"250 2.0.0 kept at last")
        else:
            self.say(b"250 2.0.0 kept")

    def keep(self, raw: bytes) -> None:
        start = raw.find(b"Message-ID: <") + 13
        self.sink.record.add(raw[start : raw.find(b">", start)], self.recipient)
        self.sink.count += 1
        if self.options.keep:
            unstuffed = raw.replace(b"\r\n..", b"\r\n.")
            self.sink.taken.append(Taken(self.sender, self.recipient, unstuffed))

    # the session

    def other(self, verb: bytes, line: bytes) -> None:
        self.sink.commands.append(line)
        if verb == b"EHLO":
            lines = ["sink.example", *self.options.extensions]
            for text in lines[:-1]:
                self.say(b"250-" + text.encode())
            self.say(b"250 " + lines[-1].encode())
        elif verb == b"QUIT":
            self.say(b"221 2.0.0 bye")
            self.cut()
        elif verb == b"AUTH":
            self.say(b"235 2.7.0 welcome" if self.knows(line) else b"535 5.7.8 no")
        elif verb in {b"RSET", b"NOOP", b"HELO"}:
            self.say(b"250 2.0.0 ok")
        else:
            self.say(b"502 5.5.2 unknown")

    def knows(self, line: bytes) -> bool:
        secret = f"\0{self.options.user}\0{self.options.password}".encode()
        return line == b"AUTH PLAIN " + b64encode(secret)

    # writing

    def say(self, line: bytes) -> None:
        self.out.append(line + b"\r\n")

    def flush(self) -> None:
        if not self.out or self.transport is None:
            return
        data = b"".join(self.out)
        self.out.clear()
        if self.options.delay:
            loop = asyncio.get_running_loop()
            loop.call_later(self.options.delay, _write, self.transport, data)
        elif self.dripping:
            self.start(self.trickle(data))
        else:
            self.transport.write(data)

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def cut(self) -> None:
        self.flush()
        transport, self.transport = self.transport, None
        if transport is None:
            return
        if self.options.delay:
            asyncio.get_running_loop().call_later(self.options.delay, transport.close)
        else:
            transport.close()

    def stall(self, seconds: float, line: bytes) -> None:
        self.flush()
        self.blocked = True
        self.start(self.answer_late(seconds, line))

    async def answer_late(self, seconds: float, line: bytes) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.sink.release.wait()
        self.blocked = False
        self.say(line)
        self.work()

    async def trickle(self, data: bytes) -> None:
        self.blocked = True
        for number in range(len(data)):
            self.send(data[number : number + 1])
            await asyncio.sleep(self.options.drip)
        self.blocked = False
        self.work()

    def start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def _write(transport: asyncio.Transport, data: bytes) -> None:
    if not transport.is_closing():
        transport.write(data)


def _reply(code: bytes, enhanced: bytes | None, text: bytes) -> bytes:
    return b" ".join([code, *([enhanced] if enhanced else []), text])


@contextlib.asynccontextmanager
async def running(
    options: Options,
    *,
    port: int = 0,
    record: Path | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[Sink, int]]:
    """A sink on loopback while the block runs; yields the sink and its port."""
    sink = Sink(options, Record(record))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Session(sink), "127.0.0.1", port, ssl=tls, backlog=512
    )
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
    options = Options(
        delay=arguments.delay,
        misbehave=arguments.misbehave,
        stall=arguments.stall,
        only_signed=arguments.only_signed,
    )
    if arguments.no_pipelining:
        options.extensions = tuple(word for word in options.extensions if word != "PIPELINING")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with running(options, port=arguments.port, record=arguments.record) as (sink, port):
        print(f"ready {port}", flush=True)
        await stop.wait()
        print(f"messages {sink.count}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="An SMTP sink for load and faults.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each flush")
    parser.add_argument("--stall", type=float, default=10.0, help="seconds that slow@ waits")
    parser.add_argument("--misbehave", action="store_true")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--only-signed", action="store_true", help="refuse mail without DKIM")
    arguments = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(arguments))
    else:
        uvloop.run(_serve(arguments))


if __name__ == "__main__":
    main()

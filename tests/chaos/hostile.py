"""Callers that mean harm: requests that cost more to read than to send, and sockets that are slow on purpose.

The classes are those of the OWASP testing guide (denial of service), of slowloris, R.U.D.Y. and slow read, and of
published holes in parsers of forms, e-mail addresses, telephone numbers and user agents.
"""

import asyncio
import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.chaos.crowd import SLUG

_MOST = 60_000
"""Octets: just what a body may have."""

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


def _request(path: str, kind: str, body: bytes, head: str = "", method: str = "POST") -> bytes:
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n{head}\r\n"
    ).encode("latin-1") + body


def _lead(**body: object) -> bytes:
    text = json.dumps({"contact": {"email": "x@people.example"}, **body})
    return _request(f"/v1/baits/{SLUG}/leads", _JSON, text.encode()[:_MOST])


def _json(body: str) -> bytes:
    return _request(f"/v1/baits/{SLUG}/leads", _JSON, body.encode()[:_MOST])


def _form(body: str, kind: str = _FORM) -> bytes:
    return _request(f"/f/{SLUG}", kind, body.encode()[:_MOST])


def _get(path: str, head: str) -> bytes:
    return _request(path, _JSON, b"", head, "GET")


def _parts(count: int, between: str) -> str:
    part = f'--b\r\nContent-Disposition: form-data; name="a{between}"\r\n\r\nx\r\n'
    return part * count + "--b--\r\n"


def bombs(links: Sequence[str]) -> list[bytes]:
    """One request of each kind; `links` are addresses of a mail, without the host."""
    long = "a" * 25_000
    multipart = "multipart/form-data; boundary=b"
    found = [
        # JSON: depth, names, numbers, escapes
        _json("[" * _MOST),
        _json('{"a":' * 10_000),
        _lead(fields={f"f{number}": True for number in range(4000)}),
        _json("1" * _MOST),
        _json('{"contact": {"email": "' + "\\u0061" * 9000 + '"}}'),
        # forms: fields, escapes, parts, headers of parts, endless boundaries
        _form("&".join(f"a{n}=1" for n in range(12_000))),
        _form("email=" + "%41" * 19_000),
        _form(_parts(800, ""), multipart),
        _form(_parts(1, '"; x="' * 5000), multipart),
        _form("--b\r\n" + "X: y\r\n" * 9000, multipart),
        _form("\r\n--" * 15_000, multipart),
        _form("email=a", "multipart/form-data; boundary=" + "b" * 8000),
        _request(f"/f/{SLUG}", _FORM + "; " + 'a="' * 4000, b"email=a@b.example"),
        # zip bombs: 50 MB in 50 kB
        _request(
            f"/f/{SLUG}", _FORM, gzip.compress(b"a" * 50_000_000), "Content-Encoding: gzip\r\n"
        ),
        _request(
            f"/v1/baits/{SLUG}/leads",
            _JSON,
            gzip.compress(b"[" * 50_000_000),
            "Content-Encoding: gzip\r\n",
        ),
        # what expressions choke on: addresses, numbers, links, languages
        _lead(contact={"email": f"{long}@{long}"}),
        _lead(contact={"email": "a@" + "a." * 20_000 + "example"}),
        _lead(contact={"email": '"' + "\\a" * 20_000 + '"@a.example'}),
        _lead(contact={"email": "a@xn--" + "a-" * 20_000}),
        _lead(contact={"phone": "+" + "1 " * 25_000}),
        _lead(contact={"phone": "(" * 40_000}),
        _lead(contact={"phone": "tel:" + ";ext=1" * 8000}),
        _lead(source={"landing_page": "https://a.example/?" + "a=&" * 15_000}),
        _lead(source={"landing_page": "http://" + "a:" * 20_000 + "@b.example/"}),
        _lead(language="a-" * 25_000),
        _lead(fields={"name": "\u0301" * 15_000}),
    ]
    for path in ("/", f"/b/{SLUG}", "/embed.js", *links):
        agents = ("Mozilla/5.0 " * 3000, "bot" * 12_000, "(" * 40_000, "a/" * 20_000)
        found += [_get(path, f"User-Agent: {agent}\r\n") for agent in agents]
        found.append(_get(path, "Accept-Language: " + "a-b;q=0.1," * 4000 + "\r\n"))
        found.append(_get(path, "Cookie: " + "a=b; " * 8000 + "\r\n"))
        found.append(_get(path, "X-Forwarded-For: " + "1.1.1.1," * 5000 + "\r\n"))
        found.append(_get(path + "?" + "a=%41&" * 5000, ""))
    return found


async def throw(port: int, bomb: bytes, seconds: float = 20.0) -> int:
    """Send one; the status that came back, 0 when the connection broke or nothing came."""
    status = 0
    with suppress(OSError, EOFError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(bomb)
                line = await reader.readline()
                status = int(line[9:12] or 0)
                await reader.read()
            finally:
                writer.close()
    return status


SLOW: list[tuple[bytes, bytes]] = [
    (b"", b""),
    (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X: y\r\n"),
    (b"GET /", b"a"),
    (b"POST /f/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n" % SLUG.encode(), b"a"),
    (
        b"POST /v1/baits/%b/leads HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 9000\r\n\r\n" % SLUG.encode(),
        b" ",
    ),
    (
        b"POST /f/%b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % SLUG.encode(),
        b"1\r\na\r\n",
    ),
    (b"GET /embed.js HTTP/1.1\r\nHost: x\r\n\r\n" * 5, b""),  # and reads nothing of it
]
"""What a slow caller says first, and what again and again, a little at a time."""

ENDLESS: list[tuple[bytes, bytes]] = [
    (b"GET / HTTP/1.1\r\nX-Long: ", b"a" * 64_000),
    (b"GET /", b"a" * 64_000),
    (b"GET / HTTP/1.1\r\n", b"X-More: a\r\n" * 6000),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-End: ", b"a" * 64_000),
]
"""Heads that never end; the last stands behind a body."""


@dataclass
class Slow:
    """Many sockets that are held, each by a caller who says a little every second."""

    port: int
    held: dict[asyncio.Transport, bytes] = field(default_factory=dict)
    _kinds: Iterator[tuple[bytes, bytes]] = field(default_factory=lambda: itertools.cycle(SLOW))

    async def open(self, count: int) -> None:
        """Open so many more."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            first, more = next(self._kinds)
            made, _ = await loop.create_connection(
                lambda: _Held(self._gone), "127.0.0.1", self.port
            )
            if not more:
                made.pause_reading()
            self.held[made] = more
            made.write(first)

    def drip(self) -> None:
        """Say a little more on each."""
        for socket, more in self.held.items():
            if more:
                socket.write(more)

    def _gone(self, socket: asyncio.BaseTransport) -> None:
        self.held.pop(socket, None)  # type: ignore[call-overload]  # it is one of these

    def close(self) -> None:
        """Let go of all."""
        for socket in list(self.held):
            socket.abort()


class _Held(asyncio.Protocol):
    """One socket; it reads and forgets."""

    def __init__(self, gone: Callable[[asyncio.BaseTransport], None]) -> None:
        self._gone = gone
        self._socket: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._socket is not None:
            self._gone(self._socket)


async def pour(port: int, first: bytes, more: bytes, most: int) -> int:
    """Send a head that never ends, up to so many octets; how many were taken."""
    taken = 0
    with suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(first)
            while taken < most:
                writer.write(more)
                await writer.drain()
                taken += len(more)
        finally:
            writer.close()
    return taken

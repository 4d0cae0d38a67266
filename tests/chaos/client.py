"""A caller as one should be: it keeps asking, with the same words, until it has an answer.

HTTP/1.1 by hand over kept connections: the callers share two cores with what they call, and a client
library costs more than the calls themselves.
"""

import asyncio
import json
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_HOST = re.compile("^https?://[^/]+")
_PATIENCE = 120.0
_DEADLINE = 20.0
_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
_AGAIN = frozenset({429, 502, 503, 504})

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class GaveUp(AssertionError):
    """No answer within two minutes, or one that should not be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Calls one system. A connection that is refused or breaks is no answer."""

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f"Host: {parts.netloc}\r\nUser-Agent: {BROWSER}\r\n"
        if key is not None:
            self._head += f"Authorization: Bearer {key}\r\n"
        self._free: list[Stream] = []
        self.broken = 0

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for _, writer in self._free:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def ask(
        self,
        method: str,
        address: str,
        *,
        body: Any = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """The answer, however often it takes; `body` goes as JSON. Raises `GaveUp` after two minutes."""
        request = self.request(method, address, _content(body, form), headers or {})
        end = time.monotonic() + _PATIENCE
        while True:
            pause = _PAUSE
            answer = await self.once(request)
            if answer is not None:
                wait = answer.headers.get("retry-after")
                if answer.status not in _AGAIN and not (answer.status == 409 and wait):
                    return answer
                pause = min(float(wait or _PAUSE), _LONGEST_PAUSE)
            if time.monotonic() > end:
                raise GaveUp(f"{method} {address.partition('?')[0]}: no answer in {_PATIENCE:g} s")
            await asyncio.sleep(pause)

    async def attempt(
        self,
        method: str,
        address: str,
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer | None:
        """The answer to one attempt, whatever it is; None when the connection was refused or broke."""
        return await self.once(self.request(method, address, _content(body, None), headers or {}))

    async def call(self, method: str, address: str, body: Any = None) -> Any:
        """The JSON of an answer that has to be a success."""
        answer = await self.ask(method, address, body=body)
        if not 200 <= answer.status < 300:
            raise GaveUp(f"{method} {address}: {answer.status} {answer.text[:500]}")
        return answer.json() if answer.body else None

    async def is_ready(self) -> bool:
        """Whether the system says that everything behind it works."""
        answer = await self.once(self.request("GET", "/health/ready", None, {}))
        return answer is not None and answer.status == 200

    async def once(self, request: bytes) -> Answer | None:
        """Send a request once; None when the connection was refused or broke."""
        stream: Stream | None = None
        try:
            async with asyncio.timeout(_DEADLINE):
                stream = await self._stream()
                stream[1].write(request)
                answer = await _read(stream[0])
        except (OSError, EOFError, TimeoutError):
            self.broken += 1
            if stream is not None:
                stream[1].close()
            return None
        except asyncio.CancelledError:
            if stream is not None:
                stream[1].close()
            raise
        self._free.append(stream)
        return answer

    async def _stream(self) -> Stream:
        while self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    def request(
        self,
        method: str,
        address: str,
        content: tuple[str, bytes] | None,
        headers: dict[str, str],
    ) -> bytes:
        """The octets of a request, for `once`; `content` is its type and its body."""
        kind, body = content or ("", b"")
        # whatever it was called when a link was made, it is this system that is asked
        head = f"{method} {_HOST.sub('', address)} HTTP/1.1\r\n{self._head}"
        if content is not None:
            head += f"Content-Type: {kind}\r\n"
        for name, value in headers.items():
            head += f"{name}: {value}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _content(body: Any, form: dict[str, str] | None) -> tuple[str, bytes] | None:
    if form is not None:
        return "application/x-www-form-urlencoded", urlencode(form).encode()
    return None if body is None else ("application/json", json.dumps(body).encode())


async def _read(reader: asyncio.StreamReader) -> Answer:
    """One answer with its length said, as our server says it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {}
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(head[0][9:12]), headers, body)

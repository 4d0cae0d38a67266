"""HTTP/1.1 as uvicorn speaks it, with the head and the body of a short answer in one write.

uvicorn writes them apart: two calls of the system and, for who waits for the answer, two packets.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)

from services.shared.process.bounds import BoundedProtocol

_WITHOUT_BODY = frozenset({204, 304})
_OURS = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"cache-control",
        b"content-language",
        b"content-length",
        b"content-type",
        b"date",
        b"referrer-policy",
        b"retry-after",
        b"vary",
        b"x-content-type-options",
        b"x-request-id",
    }
)
"""The headers of the answers that are given most often; none of them changes how an answer is sent."""


class OneWriteProtocol(BoundedProtocol):
    """One connection."""

    def on_headers_complete(self) -> None:
        """As uvicorn does it; a request that it has begun is answered in our way."""
        former = self.cycle
        super().on_headers_complete()
        if self.cycle is not former:  # its task has not run yet
            self.cycle.__class__ = OneWriteCycle


class OneWriteCycle(RequestResponseCycle):
    """One request and its answer. The head waits for the first part of the body, as ASGI allows."""

    _head: Any = None

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        if self.response_started:
            await super().send(message)
        elif message["type"] == "http.response.start":
            self._head = message
        elif self._head is None:
            await super().send(message)  # which says what is wrong with that
        elif (whole := self._whole(message)) is not None:
            self.response_started = True
            self.waiting_for_100_continue = False
            self.chunked_encoding = False
            self.transport.write(whole)
            self.response_complete = True
            self.message_event.set()
            self.on_response()
        else:
            transport: Any = self.transport
            joined = self.transport = _Joined(transport)  # type: ignore[assignment]  # all that is used of one
            try:
                await super().send(self._head)
                await super().send(message)
            finally:
                joined.flush()
                self.transport = transport

    def _whole(self, message: Any) -> bytes | None:
        """The bytes of an ordinary answer whose only body this is; None for one that uvicorn has to look at."""
        body: bytes = message.get("body", b"")
        status = self._head["status"]
        busy = self.disconnected or self.flow.write_paused or not self.keep_alive
        if busy or message.get("more_body") or status in _WITHOUT_BODY:
            return None
        headers = [*self.default_headers, *self._head["headers"]]
        if self.scope["method"] == "HEAD" or (b"content-length", b"%d" % len(body)) not in headers:
            return None
        head = STATUS_LINE[status] + b"".join([b"%b: %b\r\n" % pair for pair in headers])
        names = [name for name, _ in headers]
        lines = len(names) + 1
        # a line for each header and no more: nothing in a value begins another
        sound = head.count(b"\r") == head.count(b"\n") == lines and b"\0" not in head
        if not sound or not _OURS.issuperset(names):
            return None
        return b"%b\r\n%b" % (head, body)


class _Joined:
    """Stands for a transport while two writes become one."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._parts.append(data)

    def flush(self) -> None:
        if self._parts:
            parts, self._parts = self._parts, []
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return bool(self._transport.is_closing())

"""HTTP/1.1 as uvicorn speaks it, with the head and the body of a short answer in one write.

uvicorn writes them apart: two calls of the system and, for who waits for the answer, two packets.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class OneWriteProtocol(HttpToolsProtocol):
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
        else:
            transport: Any = self.transport
            joined = self.transport = _Joined(transport)  # type: ignore[assignment]  # all that is used of one
            try:
                await super().send(self._head)
                await super().send(message)
            finally:
                joined.flush()
                self.transport = transport


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

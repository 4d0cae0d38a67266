"""SMTP lines over a transport: replies as they come in, whoever is to read them."""

import asyncio
from collections.abc import Callable
from typing import cast

Reply = tuple[int, bytes]
"""A code and the text of all its lines, the lines' enhanced codes left where they are."""

MAX_PENDING = 64 * 1024
"""A server that sends more than this without ending a reply is not talking SMTP."""

_CODES = {b"%d" % code: code for code in range(200, 600)}


class NotSmtp(Exception):
    """The server sent what is no reply, behind `replies` that were whole."""

    def __init__(self, replies: list[Reply]) -> None:
        super().__init__("not a reply")
        self.replies = replies


class Replies:
    """Bytes in, whole replies out (RFC 5321, section 4.2)."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._held = 0

    @property
    def empty(self) -> bool:
        """Whether nothing of a reply is waiting for the rest of it."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that are now complete. Raises NotSmtp."""
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        replies: list[Reply] = []
        for line in lines:
            code = _CODES.get(line[:3])
            mark = line[3:4]
            if code is None or mark not in b" -\r":
                raise NotSmtp(replies)
            if mark == b"-":
                if self._hold(line[4:]) > MAX_PENDING:
                    raise NotSmtp(replies)
                continue
            text = line[4:].rstrip()
            if self._lines:
                text = b"\n".join([*self._lines, text])
                self._lines.clear()
                self._held = 0
            replies.append((code, text))
        if len(self._rest) > MAX_PENDING:
            raise NotSmtp(replies)
        return replies

    def _hold(self, text: bytes) -> int:
        self._lines.append(text.rstrip())
        self._held += len(text) + 1
        return self._held


class Wire(asyncio.Protocol):
    """Hands replies to `on_replies` and the end to `on_lost`; both can change hands.

    Until somebody takes them, replies wait in `early`.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.on_replies: Callable[[list[Reply]], None] | None = None
        self.on_lost: Callable[[str], None] | None = None
        self.early: list[Reply] = []
        self.lost: str | None = None
        self.replies = Replies()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.lost is not None:
            return
        try:
            self._hand_over(self.replies.feed(data))
        except NotSmtp as error:
            self._hand_over(error.replies)
            self._end("not-smtp")

    def connection_lost(self, _exc: Exception | None) -> None:
        self._end("connection-lost")

    def _hand_over(self, replies: list[Reply]) -> None:
        if self.on_replies is None:
            self.early += replies
        elif replies:
            self.on_replies(replies)

    def write(self, data: bytes) -> None:
        """Write, unless the connection is gone."""
        if self.transport is not None and self.lost is None:
            self.transport.write(data)

    def abort(self) -> None:
        """Cut the connection without a word."""
        if self.transport is not None:
            self.transport.abort()

    def _end(self, why: str) -> None:
        if self.lost is not None:
            return
        self.lost = why
        self.abort()
        if self.on_lost is not None:
            self.on_lost(why)

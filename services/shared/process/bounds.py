"""What one connection may take: a head has an end, and who sends or reads has to get on with it.

uvicorn bounds neither: an endless header line would be kept in memory, and a request that never ends
would be waited for as long as its sender likes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

_MOST_HEAD = 64 * 1024
_FRAMING = 6
"""A chunk of one byte takes six: what comes on top of that is no body."""

_TOO_LARGE = b"The header fields are too large."


class BoundedProtocol(HttpToolsProtocol):
    """One connection. It is closed when a head, or what stands around a chunked body, has no end."""

    seen: tuple[object, float] | None = None
    """What `Patience` found it doing, and since when."""

    _loose = 0

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        former: Any = self.cycle  # None before the first
        inside = former is not None and former.more_body
        before = len(former.body) if inside else 0
        super().data_received(data)
        if self.cycle is not former:
            self._loose = 0  # a head ended
        elif not inside:
            self._count(len(data))
        elif _chunked(former):
            self._count(len(data) - _FRAMING * (len(former.body) - before))

    def _count(self, loose: int) -> None:
        self._loose = max(0, self._loose + loose)
        if self._loose <= _MOST_HEAD or self.transport.is_closing():
            return
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(
                STATUS_LINE[431]
                + b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n%b" % (len(_TOO_LARGE), _TOO_LARGE)
            )
        self.transport.close()


def _chunked(cycle: Any) -> bool:
    return any(name == b"transfer-encoding" for name, _ in cycle.scope["headers"])


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the parts of a request may take, in seconds. What takes longer is let go.

    A body has `body` seconds and one more for each `slowest` bytes that it said it has; one that said
    nothing has as many as a megabyte. `answer`: for how long a reader may take nothing of its answer.
    """

    head: float = 20.0
    body: float = 30.0
    slowest: int = 16 * 1024
    answer: float = 60.0

    def look(self, connections: Iterable[Any], now: float) -> int:
        """Let go of those that do not get on, at a moment of the loop's clock; how many they were.

        A connection is first met here in one look and let go in another: looks have to come regularly.
        """
        late = [one for one in connections if self._is_late(one, now)]
        for one in late:
            one.transport.abort()
        return len(late)

    def _is_late(self, connection: Any, now: float) -> bool:
        cycle, unread = connection.cycle, connection.transport.get_write_buffer_size()
        if unread:
            doing: object = (cycle, unread)
            allowed = self.answer
        elif (
            connection.timeout_keep_alive_task is not None
        ):  # between requests: that ends by itself
            connection.seen = None
            return False
        elif cycle is not None and cycle.more_body:
            doing, allowed = (cycle, "body"), self.body + _declared(cycle) / self.slowest
        elif cycle is None or cycle.response_complete:
            doing, allowed = (cycle, "head"), self.head
        else:  # it waits for us
            connection.seen = None
            return False
        if connection.seen is None or connection.seen[0] != doing:
            connection.seen = (doing, now)
        since: float = connection.seen[1]
        return now - since > allowed


def _declared(cycle: Any) -> int:
    """The length of a body as its head says it."""
    for name, value in cycle.scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return min(int(value), 1 << 30)
    return 1 << 20

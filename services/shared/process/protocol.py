"""HTTP/1.1 as uvicorn speaks it, with the head and the body of a short answer in one write, and doors.

uvicorn writes them apart: two calls of the system and, for who waits for the answer, two packets.

An ordinary request of a hot route comes in by the route's door (`web/hot.py`) when it is whole: no scope, no
messages, no cycle of uvicorn's are made for it, which take longer than reading it. Whatever is not ordinary (the
connection ends with it or is slow, another request is under way, a body in chunks, a path with escapes, anything
that may have to be refused) goes uvicorn's way to the same route.
"""

import asyncio
import time
from collections.abc import Coroutine
from functools import lru_cache, partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    RequestResponseCycle,
)

from services.shared.process.bounds import BoundedProtocol
from services.shared.web.hot import Answer, Asked, Door, Hall, lines

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


_kept_lines = lru_cache(maxsize=8)(lines)
_BY_DOOR = {b"GET": "GET", b"POST": "POST"}


class OneWriteProtocol(BoundedProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app: Any = self.app
        self._hall: Hall | None = app if isinstance(app, Hall) else None

    def on_message_begin(self) -> None:
        """Begin without uvicorn's scope, which is made when it is needed."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """Let a hot request in by its door; another goes as uvicorn does it, and is answered in our way."""
        former = self.cycle
        visit = self._visit()
        if visit is not None:
            # it has all that uvicorn's protocol looks at
            self.cycle = visit  # type: ignore[assignment]
            return
        begun = self.url, self.expect_100_continue, self.headers
        super().on_message_begin()
        self.url, self.expect_100_continue, self.headers = begun
        self.scope["headers"] = self.headers
        super().on_headers_complete()
        if self.cycle is not former:  # its task has not run yet
            self.cycle.__class__ = OneWriteCycle

    def _visit(self) -> "Visit | None":
        """The request whose head has come, when it may come in by a door."""
        former: Any = self.cycle
        url = self.url
        busy = former is not None and not former.response_complete
        if self._hall is None or busy or self.expect_100_continue or self.flow.write_paused:
            return None
        method = _BY_DOOR.get(self.parser.get_method())
        if method is None or not url.startswith(b"/") or not url.isascii() or b"#" in url:
            return None
        path, _, query = url.partition(b"?")
        if b"%" in path:
            return None
        parser = self.parser
        if not parser.should_keep_alive() or parser.should_upgrade():
            return None
        if parser.get_http_version() != "1.1":
            return None
        text = path.decode("ascii")
        admitted = self._hall.admits(method, text, query, self.headers)
        if admitted is None:
            return None
        door, template = admitted
        client = self.client[0] if self.client else None
        correlation_id = door.correlation_id(self.headers)
        asked = Asked(method, text, query, self.headers, client, correlation_id)
        return Visit(door, template, asked)

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        visit: Any = self.cycle
        if type(visit) is Visit:
            visit.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Answer a visitor now that the request is whole."""
        visit: Any = self.cycle
        if type(visit) is not Visit:
            super().on_message_complete()
        elif visit.more_body:
            visit.more_body = False
            if visit.asked.method == "POST":  # of no other a body is read, as by ASGI
                visit.asked = visit.asked._replace(body=visit.body)
            self._begin(visit, visit.door.answer(visit.template, visit.asked, visit.start))

    def _begin(self, visit: "Visit", answering: Coroutine[Any, Any, Answer]) -> None:
        task = self.loop.create_task(self._answer(visit, answering))
        self.tasks.add(task)
        task.add_done_callback(partial(self._ended, visit))

    async def _answer(self, visit: "Visit", answering: Coroutine[Any, Any, Answer]) -> None:
        answer = await answering
        transport = self.transport
        if not (visit.disconnected or transport.is_closing()):
            transport.write(self._written(visit, answer))
            if not visit.keep_alive:
                transport.close()
        visit.response_complete = True
        self.on_response_complete()

    def _written(self, visit: "Visit", answer: Answer) -> bytes:
        body = answer.body
        return b"%b%bx-request-id: %b\r\n%b%bcontent-length: %d\r\n\r\n%b" % (
            answer.head.lines,
            _kept_lines(tuple(self.server_state.default_headers)),
            visit.asked.correlation_id.encode("latin-1"),
            lines(answer.more) if answer.more else b"",
            b"" if visit.keep_alive else b"connection: close\r\n",
            len(body),
            body,
        )

    def _ended(self, visit: "Visit", task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if visit.response_complete:
            return
        error = None if task.cancelled() else task.exception()
        if error is None or visit.failed:
            visit.response_complete = True
            self.transport.close()
        else:
            visit.failed = True
            self._begin(visit, visit.door.apology(visit.asked, error))


class _Nobody:
    """Whom uvicorn's protocol wakes; nobody waits."""

    def set(self) -> None:
        """Wake nobody."""


class Visit:
    """A request that came in by a door, as far as uvicorn's protocol looks at one."""

    __slots__ = (
        "asked",
        "body",
        "disconnected",
        "door",
        "failed",
        "keep_alive",
        "more_body",
        "response_complete",
        "start",
        "template",
    )
    message_event = _Nobody()

    def __init__(self, door: Door, template: str, asked: Asked) -> None:
        self.door = door
        self.template = template
        self.asked = asked
        self.start = time.perf_counter()
        self.body = b""
        self.more_body = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.failed = False

    @property
    def scope(self) -> dict[str, Any]:
        """Its headers, where uvicorn's has them."""
        return {"headers": self.asked.headers}


class OneWriteCycle(RequestResponseCycle):
    """One request and its answer. The head waits for the first part of the body, as ASGI allows."""

    _head: Any = None

    async def send(self, message: Any) -> None:
        """Send a part of the answer."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        # uvicorn notes it at its latest request only, and uvloop would raise
        if self.transport.is_closing():
            self.disconnected = True
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

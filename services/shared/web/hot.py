"""Hot routes: a whole request in, a whole answer out, past the framework and, where the server can, past ASGI.

`Door` lets requests in to a hot route from the server itself (`process/protocol.py`), inside the same edge as
everything else. `HotApp` is the same route as an ASGI app, for all that the server leaves to ASGI.
"""

import http
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.shared import correlation
from services.shared.errors import Problem
from services.shared.web.edge import Edge, Header, missing_of
from services.shared.web.middleware import TEMPLATE
from services.shared.web.problems import CORRELATION, Unexpected, problem_response

_UNFIT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value may hold (RFC 9110, section 5.5)."""


class Asked(NamedTuple):
    """A request. Names of headers are in lower case; `client` is the address that it came from."""

    method: str
    path: str
    query: bytes
    headers: Sequence[Header]
    client: str | None
    correlation_id: str
    body: bytes = b""

    def as_request(self) -> Request:
        """For who wants to know more of it."""
        scope: dict[str, Any] = {
            "type": "http",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "query_string": self.query,
            "headers": self.headers,
            "client": (self.client, 0) if self.client else None,
            CORRELATION: self.correlation_id,
        }
        return Request(scope)


class Head:
    """The status and the headers of answers, but those that differ from one to the other. To be kept."""

    __slots__ = ("headers", "lines", "status")

    def __init__(self, status: int, headers: Iterable[Header]) -> None:
        self.status = status
        given = tuple(headers)
        self.headers = (*given, *missing_of(given))
        phrase = http.HTTPStatus(status).phrase.encode()
        self.lines = b"HTTP/1.1 %d %b\r\n%b" % (status, phrase, lines(self.headers))


def lines(headers: Iterable[Header]) -> bytes:
    """Headers as they are sent. Raises ValueError for one that would begin another."""
    found = b""
    for name, value in headers:
        if _UNFIT.search(value):
            raise ValueError("a header's value holds a control character")
        found += b"%b: %b\r\n" % (name, value)
    return found


class Answer(NamedTuple):
    """What a hot route answers; `more` are headers of this answer alone. Its length is not among them."""

    head: Head
    body: bytes
    more: tuple[Header, ...] = ()


class HotRoute(Protocol):
    """Answers the one or two paths that are too hot for the framework's way to a route."""

    def template(self, method: str, path: str) -> str | None:
        """What metrics call the path of a request, when the request is its own; else None."""
        ...

    async def answer(self, asked: Asked) -> Answer:
        """Answer a request, every `Problem` included."""
        ...


def answer_of(response: Response) -> Answer:
    """A response of Starlette's, which is whole, as an answer."""
    headers = [pair for pair in response.raw_headers if pair[0] != b"content-length"]
    return Answer(Head(response.status_code, headers), bytes(response.body))


def problem_answer(asked: Asked, problem: Problem) -> Answer:
    """The problem document as an answer."""
    return answer_of(problem_response(asked.as_request(), problem))


class Door:
    """Lets requests in to a hot route from the server."""

    def __init__(self, route: HotRoute, edge: Edge, unexpected: Unexpected) -> None:
        self._route = route
        self._edge = edge
        self._unexpected = unexpected

    def admits(self, method: str, path: str, query: bytes, headers: Sequence[Header]) -> str | None:
        """The template of a request that is for this route, and whose body comes as it says; else None.

        Anything that may have to be refused is left to ASGI.
        """
        template = self._route.template(method, path)
        if template is None:
            return None
        declared = ""
        for name, value in headers:
            if name == b"content-length":
                declared = value.decode("latin-1")
            elif name == b"transfer-encoding":
                return None
        return None if self._edge.refusal(path, query, declared) else template

    def correlation_id(self, headers: Sequence[Header]) -> str:
        """The id of a request with these headers."""
        for name, value in headers:
            if name == b"x-request-id":
                return self._edge.correlation_id(value.decode("latin-1"))
        return self._edge.correlation_id("")

    async def answer(self, template: str, asked: Asked, start: float) -> Answer:
        """Answer what was admitted, as a task of its own. `start` is when it came, by `perf_counter`."""
        edge = self._edge
        status = 500
        edge.traffic.began()
        correlation.bind(asked.correlation_id)  # the task's own: it ends with it
        try:
            answer = await self._route.answer(asked)
            status = answer.head.status
        finally:
            edge.traffic.ended()
            seconds = time.perf_counter() - start
            edge.measure(asked.path, template, asked.method, status, seconds)
        return answer

    async def apology(self, asked: Asked, error: BaseException) -> Answer:
        """The answer to a request that failed for a reason that nobody expected; it is logged."""
        return answer_of(await self._unexpected(asked.as_request(), error))


class HotApp:
    """A hot route as an ASGI app, inside an edge."""

    def __init__(self, route: HotRoute) -> None:
        self._route = route

    def takes(self, scope: Scope) -> bool:
        """Whether an HTTP request is for the route; it is noted what metrics call it."""
        template = self._route.template(scope["method"], scope["path"])
        if template is not None:
            scope[TEMPLATE] = template
        return template is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked(
            scope["method"],
            scope["path"],
            scope["query_string"],
            scope["headers"],
            scope["client"][0] if scope.get("client") else None,
            scope[CORRELATION],
        )
        try:
            if asked.method == "POST":
                asked = asked._replace(body=await _whole_body(receive))
            answer = await self._route.answer(asked)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Problem as problem:  # while its body was read
            answer = problem_answer(asked, problem)
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [*answer.head.headers, *answer.more, length]
        status = answer.head.status
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


async def _whole_body(receive: Receive) -> bytes:
    """The body of a request. Raises `ClientDisconnect` when the rest will not come."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return body


@runtime_checkable
class Hall(Protocol):
    """An app with doors."""

    def admits(
        self, method: str, path: str, query: bytes, headers: Sequence[Header]
    ) -> tuple[Door, str] | None:
        """The door that a request may come in by, and what metrics call its path; None: only by ASGI."""
        ...

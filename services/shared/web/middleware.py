"""Pure ASGI middleware: the edge around an app."""

import time
from collections.abc import Iterable

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared import correlation
from services.shared.errors import TooLarge
from services.shared.web.edge import Edge, with_ours
from services.shared.web.problems import CORRELATION, problem_response

TEMPLATE = "baitwell.template"
"""Where a route that is none of Starlette's says in the request's scope what metrics call it."""


class EdgeMiddleware:
    """Outermost: everything else happens inside it."""

    def __init__(self, app: ASGIApp, *, edge: Edge) -> None:
        self._app = app
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        edge = self._edge
        given, length = _head(scope["headers"])
        correlation_id = edge.correlation_id(given)
        scope[CORRELATION] = correlation_id
        start = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = with_ours(message.get("headers", ()), correlation_id)
            await send(message)

        edge.traffic.began()
        bound = correlation.bind(correlation_id)
        try:
            await self._within_limit(scope, receive, sending, length)
        finally:
            correlation.unbind(bound)
            edge.traffic.ended()
            seconds = time.perf_counter() - start
            edge.measure(scope["path"], _template(scope), scope["method"], status, seconds)

    async def _within_limit(self, scope: Scope, receive: Receive, send: Send, length: str) -> None:
        refused = self._edge.refusal(scope["path"], scope.get("query_string", b""), length)
        if refused is not None:
            await problem_response(Request(scope), refused)(scope, receive, send)
            return
        limit = self._edge.limit(scope["path"])
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            traffic = self._edge.traffic
            traffic.ended()  # while it waits for its sender, nobody waits for us
            try:
                message = await receive()
            finally:
                traffic.went_on()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise TooLarge
            return message

        await self._app(scope, counting, send)


def _template(scope: Scope) -> str:
    """The template of the route that answered, such as `/b/{slug}`."""
    said: str | None = scope.get(TEMPLATE)
    if said is not None:
        return said
    route = scope.get("route")
    if route is None and "endpoint" in scope:  # Starlette's own routes do not say that it was they
        endpoint = scope["endpoint"]
        routes = scope["app"].router.routes
        route = next((one for one in routes if getattr(one, "endpoint", None) is endpoint), None)
    return getattr(route, "path", None) or "unmatched"


def _head(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str]:
    """The first X-Request-ID and Content-Length, in one pass; empty where there is none."""
    given = length = b""
    for name, value in headers:
        if name == b"content-length":
            length = length or value
        elif name == b"x-request-id":
            given = given or value
    return given.decode("latin-1"), length.decode("latin-1")

"""Pure ASGI middleware at the edge: correlation id, body limit, latency, headers that every answer has."""

import re
import time
from collections.abc import Callable, Iterable
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared import correlation
from services.shared.errors import FieldError, Invalid, NotFound, Problem, TooLarge
from services.shared.telemetry import Telemetry
from services.shared.traffic import Traffic
from services.shared.web.problems import CORRELATION, problem_response

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMEASURED = frozenset({"/metrics", "/health/live", "/health/ready"})

Header = tuple[bytes, bytes]

_EVERY_ANSWER: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
)

BodyLimit = Callable[[str], int]
"""The most bytes that a request to a path may have."""


class EdgeMiddleware:
    """Outermost: everything else happens inside it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        service: str,
        telemetry: Telemetry,
        traffic: Traffic,
        limit: BodyLimit,
        new_id: Callable[[], UUID],
    ) -> None:
        self._app = app
        self._service = service
        self._requests = telemetry.requests
        self._traffic = traffic
        self._limit = limit
        self._new_id = new_id
        self._children: dict[tuple[str, str, int], Callable[[float], None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given, length = _head(scope["headers"])
        correlation_id = given if _SANE_ID.match(given) else str(self._new_id())
        scope[CORRELATION] = correlation_id
        start = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_ours(message.get("headers", ()), correlation_id)
            await send(message)

        self._traffic.began()
        bound = correlation.bind(correlation_id)
        try:
            await self._within_limit(scope, receive, sending, length)
        finally:
            correlation.unbind(bound)
            self._traffic.ended()
            self._measure(scope, status, time.perf_counter() - start)

    async def _within_limit(self, scope: Scope, receive: Receive, send: Send, length: str) -> None:
        limit = self._limit(scope["path"])
        refused = _refusal(scope, limit, length)
        if refused is not None:
            await problem_response(Request(scope), refused)(scope, receive, send)
            return
        seen = 0

        async def counting() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise TooLarge
            return message

        await self._app(scope, counting, send)

    def _measure(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] in _UNMEASURED:
            return
        template = _template(scope)
        key = (template, scope["method"], status)
        observe = self._children.get(key)
        if observe is None:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            observe = self._requests.labels(self._service, template, method, str(status)).observe
            if len(self._children) < 500:
                self._children[key] = observe
        observe(seconds)


def _template(scope: Scope) -> str:
    """The template of the route that answered, such as `/b/{slug}`."""
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


def _with_ours(headers: Iterable[Header], correlation_id: str) -> list[Header]:
    """The headers of an answer with those that every answer has."""
    found = [pair for pair in headers if pair[0] != b"x-request-id"]
    names = {name for name, _ in found}
    found.append((b"x-request-id", correlation_id.encode("latin-1")))
    found += [pair for pair in _EVERY_ANSWER if pair[0] not in names]
    return found


def _refusal(scope: Scope, limit: int, declared: str) -> Problem | None:
    """What can be said of a request before anything of it is handled."""
    if "\x00" in scope["path"]:
        return NotFound()
    if b"%00" in scope.get("query_string", b""):
        return Invalid(fields=(FieldError("query", "forbidden_characters"),))
    if declared.isascii() and declared.isdecimal():
        digits = declared.lstrip("0")
        if len(digits) > 18 or int(digits or "0") > limit:
            return TooLarge()
    return None

"""The edge that every request passes: correlation id, body limit, latency, headers that every answer has.

`EdgeMiddleware` puts it around an ASGI app, `hot.Door` around a route that is answered without ASGI.
"""

import re
from collections.abc import Callable, Iterable
from uuid import UUID

from services.shared.errors import FieldError, Invalid, NotFound, Problem, TooLarge
from services.shared.telemetry import Telemetry
from services.shared.traffic import Traffic

Header = tuple[bytes, bytes]

BodyLimit = Callable[[str], int]
"""The most bytes that a request to a path may have."""

EVERY_ANSWER: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
)

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_UNMEASURED = frozenset({"/metrics", "/health/live", "/health/ready"})


class Edge:
    """What one service's requests meet first."""

    def __init__(
        self,
        *,
        service: str,
        telemetry: Telemetry,
        traffic: Traffic,
        limit: BodyLimit,
        new_id: Callable[[], UUID],
    ) -> None:
        self._service = service
        self._requests = telemetry.requests
        self.traffic = traffic
        self.limit = limit
        self._new_id = new_id
        self._children: dict[tuple[str, str, int], Callable[[float], None]] = {}

    def correlation_id(self, given: str) -> str:
        """The id of a request: its X-Request-ID if that is sane, else a new one."""
        return given if given and _SANE_ID.match(given) else str(self._new_id())

    def measure(self, path: str, template: str, method: str, status: int, seconds: float) -> None:
        """Take down how long an answer took."""
        if path in _UNMEASURED:
            return
        key = (template, method, status)
        observe = self._children.get(key)
        if observe is None:
            named = method if method in _METHODS else "other"
            observe = self._requests.labels(self._service, template, named, str(status)).observe
            if len(self._children) < 500:
                self._children[key] = observe
        observe(seconds)

    def refusal(self, path: str, query: bytes, declared: str) -> Problem | None:
        """What can be said of a request before anything of it is handled; `declared` is its Content-Length."""
        if "\x00" in path:
            return NotFound()
        if b"%00" in query:
            return Invalid(fields=(FieldError("query", "forbidden_characters"),))
        if declared and declared.isascii() and declared.isdecimal():
            digits = declared.lstrip("0")
            if len(digits) > 18 or int(digits or "0") > self.limit(path):
                return TooLarge()
        return None


def with_ours(headers: Iterable[Header], correlation_id: str) -> list[Header]:
    """The headers of an answer with those that every answer has."""
    found = [pair for pair in headers if pair[0] != b"x-request-id"]
    found.append((b"x-request-id", correlation_id.encode("latin-1")))
    return [*found, *missing_of(found)]


def missing_of(headers: Iterable[Header]) -> list[Header]:
    """Those of every answer's headers that are not among these."""
    names = {name for name, _ in headers}
    return [pair for pair in EVERY_ANSWER if pair[0] not in names]

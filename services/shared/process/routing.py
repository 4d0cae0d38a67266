"""Who answers what: one table, used by the one-process mode, the development proxy and the manifests.

A prefix matches a whole segment: `/o` answers `/o/x`, not `/openapi.json`.
"""

from collections.abc import Iterable, Mapping, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from services.shared.web.edge import Header
from services.shared.web.hot import Door, Hall

PREFIXES: dict[str, str] = {
    "/b": "capture",
    "/f": "capture",
    "/r": "capture",
    "/v1/baits": "capture",
    "/v1/leads": "capture",
    "/people": "profile",
    "/v1/profiles": "profile",
    "/v1/segments": "profile",
    "/campaigns": "push",
    "/mailbox": "push",
    "/v1/templates": "push",
    "/v1/campaigns": "push",
    "/v1/deliveries": "push",
    "/c": "metrics",
    "/o": "metrics",
    "/u": "metrics",
    "/v1/engagements": "metrics",
    "/v1/funnel": "metrics",
    "/static": "metrics",
    "/docs/capture": "capture",
    "/docs/profile": "profile",
    "/docs/push": "push",
    "/docs/metrics": "metrics",
}

EXACT: dict[str, str] = {
    "/": "metrics",
    "/login": "metrics",
    "/logout": "metrics",
    "/embed.js": "capture",
}

INTERNAL = "/internal"
"""Paths that services offer each other: never proxied."""


def service_of(path: str) -> str | None:
    """The service that answers a path; None when nobody does."""
    exact = EXACT.get(path)
    if exact is not None:
        return exact
    segments = path.split("/", 3)
    for length in (2, 3):
        found = PREFIXES.get("/".join(segments[:length]))
        if found is not None:
            return found
    return None


def halls_of(apps: Iterable[object]) -> tuple[Hall, ...]:
    """Those of these apps that have doors."""
    return tuple(app for app in apps if isinstance(app, Hall))


class OneProcess:
    """Sends each request of one port to the app that answers it."""

    def __init__(self, apps: Mapping[str, ASGIApp], own: ASGIApp) -> None:
        self._apps = apps
        self._own = own
        # the hot paths of a service are all under prefixes of its own
        self._halls = halls_of(apps.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._own(scope, receive, send)
            return
        name = service_of(scope["path"])
        app = self._own if name is None else self._apps[name]
        await app(scope, receive, send)

    def admits(
        self, method: str, path: str, query: bytes, headers: Sequence[Header]
    ) -> tuple[Door, str] | None:
        """As `Hall` says."""
        for hall in self._halls:
            admitted = hall.admits(method, path, query, headers)
            if admitted is not None:
                return admitted
        return None

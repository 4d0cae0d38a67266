"""The routes in messages: `/c` clicks, `/o` opens, `/u` unsubscribes. Bare ASGI: they are the hot path."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from services.metrics.machines.signs import sign_of
from services.metrics.settings import MetricsSettings
from services.metrics.tracking.service import Tracker
from services.shared.errors import NotFound
from services.shared.ground import Ground
from services.shared.tokens import BadToken
from services.shared.web.languages import language_of
from services.shared.web.pages import Pages

_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_PRIVATE = [(b"referrer-policy", b"no-referrer"), (b"cache-control", b"no-store")]
_NOTHING = [*_PRIVATE, (b"content-length", b"0")]
_PICTURE = [
    (b"content-type", b"image/gif"),
    *_PRIVATE,
    (b"content-length", str(len(_PIXEL)).encode()),
]
_TOKEN_LENGTH = 47
_BROKEN = ("这个链接无效或不完整。", "This link is not valid, or a part of it is missing.")
_LONGEST_QUERY = 8192
_CLICK, _OPEN = "/c/", "/o/"
_LOOKS = frozenset({"GET", "HEAD"})
_TELLING = frozenset({b"user-agent", b"purpose", b"sec-purpose", b"x-purpose", b"x-moz"})
"""The headers that tell a machine from a person."""


class _Bad(Exception):
    """A link that is not ours: whatever is wrong with it, the answer is the same."""


class TrackingRoutes:
    """The three routes over one tracker. Clicks and opens are a `HotRoute`, too."""

    def __init__(self, ground: Ground[MetricsSettings], tracker: Tracker) -> None:
        self._tokens = ground.tokens
        self._hosts = frozenset(host.lower() for host in ground.settings.link_hosts)
        self._tracker = tracker
        self._pages = Pages(Path(__file__).parent / "templates", zone=ground.settings.zone)

        self._click = Route(_CLICK + "{token}", _Endpoint(self.click), methods=["GET", "HEAD"])
        self._open = Route(_OPEN + "{token}", _Endpoint(self.open), methods=["GET", "HEAD"])

    def takes(self, scope: Scope) -> bool:
        """Whether a request is a click or an open."""
        path: str = scope["path"]
        return (
            path.startswith((_CLICK, _OPEN)) and scope["method"] in _LOOKS and path.count("/") == 2
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a click or an open, past the framework."""
        path: str = scope["path"]
        clicked = path.startswith(_CLICK)
        scope["route"] = self._click if clicked else self._open
        scope["path_params"] = {"token": path[len(_CLICK) :]}
        await (self.click if clicked else self.open)(scope, receive, send)

    def routes(self) -> list[BaseRoute]:
        """All of them, for the framework: it knows what else a path could be asked."""
        return [
            self._click,
            self._open,
            Route("/u/{token}", self.ask_to_leave, methods=["GET", "HEAD"]),
            Route("/u/{token}", self.leave, methods=["POST"]),
        ]

    async def click(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Redirect to the signed target, always; take the click down first."""
        try:
            url = _target(scope["query_string"])
            delivery_id, link = self._verify("c", scope, url)
        except _Bad:
            await self._not_found(scope)(scope, receive, send)
            return
        sign = sign_of(scope["method"], _headers(scope))
        await self._tracker.click(delivery_id, link, url, sign)
        location = _location(self._with_person(url, delivery_id))
        await _answer(send, 302, [(b"location", location), *_NOTHING], b"")

    async def open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A transparent picture; the open is taken down first."""
        try:
            delivery_id, _ = self._verify("o", scope)
        except _Bad:
            await self._not_found(scope)(scope, receive, send)
            return
        sign = sign_of(scope["method"], _headers(scope), picture=True)
        await self._tracker.open(delivery_id, sign)
        await _answer(send, 200, _PICTURE, _PIXEL)

    async def ask_to_leave(self, request: Request) -> Response:
        """A page with one button. It changes nothing: scanners follow links."""
        try:
            self._verify("u", request.scope)
        except _Bad:
            return self._not_found(request.scope)
        return self._pages.response(
            request, "unsubscribe.html", headers=_private_headers(), done=False
        )

    async def leave(self, request: Request) -> Response:
        """Leave. RFC 8058: a mail program posts `List-Unsubscribe=One-Click` and wants no redirect."""
        try:
            delivery_id, _ = self._verify("u", request.scope)
        except _Bad:
            return self._not_found(request.scope)
        one_click = b"One-Click" in await request.body()
        await self._tracker.unsubscribe(delivery_id, "one_click" if one_click else "page")
        return self._pages.response(
            request, "unsubscribe.html", headers=_private_headers(), done=True
        )

    def _verify(self, kind: Any, scope: Scope, bound: str = "") -> tuple[UUID, int]:
        token = scope["path_params"]["token"]
        if len(token) != _TOKEN_LENGTH:
            raise _Bad
        try:
            return self._tokens.verify(kind, token, bound)
        except BadToken as error:
            raise _Bad from error

    def _with_person(self, url: str, delivery_id: UUID) -> str:
        """The target with the person token, where the operator has listed its host."""
        if not self._hosts:
            return url
        parts = urlsplit(url)
        if (parts.hostname or "") not in self._hosts:
            return url
        person = f"bw={self._tokens.sign('s', delivery_id)}"
        query = f"{parts.query}&{person}" if parts.query else person
        return urlunsplit(parts._replace(query=query))

    def _not_found(self, scope: Scope) -> Response:
        request = Request(scope)
        return self._pages.response(
            request,
            "problem.html",
            status=404,
            headers=_private_headers(),
            document=NotFound(_BROKEN).document(language_of(request)),
        )


class _Endpoint:
    """Makes an ASGI function a route's endpoint: Starlette hands a class instance the bare scope."""

    def __init__(self, function: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._function = function

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._function(scope, receive, send)


@lru_cache(maxsize=512)
def _target(query: bytes) -> str:
    """The one `u` of a query: an http or https address with a host. Raises `_Bad`."""
    if len(query) > _LONGEST_QUERY:
        raise _Bad
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
        urls = [value for name, value in pairs if name == "u"]
        if len(urls) != 1 or not urls[0].startswith(("http://", "https://")):
            raise _Bad
        if not urlsplit(urls[0]).hostname:
            raise _Bad
    except ValueError as error:
        raise _Bad from error
    return urls[0]


@lru_cache(maxsize=512)
def _location(url: str) -> bytes:
    """A URL as a header value: nothing but visible ASCII gets through."""
    return quote(url, safe=":/%#?=@[]!$&'()*+,;~").encode("ascii")


def _headers(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in _TELLING
    }


def _private_headers() -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in _PRIVATE}


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

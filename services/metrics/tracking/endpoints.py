"""The routes in messages: `/c` clicks, `/o` opens, `/u` unsubscribes. Clicks and opens are hot."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.metrics.machines.signs import sign_of
from services.metrics.settings import MetricsSettings
from services.metrics.tracking.service import Tracker
from services.shared.errors import NotFound
from services.shared.ground import Ground
from services.shared.tokens import BadToken, Kind
from services.shared.web.edge import Header
from services.shared.web.hot import Answer, Asked, Head, answer_of
from services.shared.web.languages import language_of
from services.shared.web.pages import Pages

_PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,"
    b"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_PRIVATE = [(b"referrer-policy", b"no-referrer"), (b"cache-control", b"no-store")]
_AWAY = Head(302, _PRIVATE)
_PICTURE = Head(200, [(b"content-type", b"image/gif"), *_PRIVATE])
_TOKEN_LENGTH = 47
_BROKEN = ("这个链接无效或不完整。", "This link is not valid, or a part of it is missing.")
_LONGEST_QUERY = 8192
_CLICK, _OPEN = "/c/", "/o/"
_CLICK_PATH, _OPEN_PATH = _CLICK + "{token}", _OPEN + "{token}"
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

    def template(self, method: str, path: str) -> str | None:
        """As `HotRoute` says: clicks and opens."""
        if method not in _LOOKS or path.count("/") != 2:
            return None
        if path.startswith(_CLICK):
            return _CLICK_PATH
        return _OPEN_PATH if path.startswith(_OPEN) else None

    async def answer(self, asked: Asked) -> Answer:
        """Answer a click or an open."""
        try:
            if asked.path.startswith(_CLICK):
                return await self._click(asked)
            return await self._open(asked)
        except _Bad:
            return answer_of(self._not_found(asked.as_request()))

    def routes(self) -> list[BaseRoute]:
        """All of them, for the framework: it knows what else a path could be asked."""
        looks = [*_LOOKS]
        return [
            Route(_CLICK_PATH, self._elsewhere, methods=looks),
            Route(_OPEN_PATH, self._elsewhere, methods=looks),
            Route("/u/{token}", self.ask_to_leave, methods=looks),
            Route("/u/{token}", self.leave, methods=["POST"]),
        ]

    async def _elsewhere(self, request: Request) -> Response:
        """Of a path that is nearly ours: the hot route has not taken it."""
        return self._not_found(request)

    async def _click(self, asked: Asked) -> Answer:
        """Redirect to the signed target, always; take the click down first."""
        url = _target(asked.query)
        delivery_id, link = self._verify("c", asked.path[len(_CLICK) :], url)
        sign = sign_of(asked.method, _headers(asked.headers))
        await self._tracker.click(delivery_id, link, url, sign)
        location = _location(self._with_person(url, delivery_id))
        return Answer(_AWAY, b"", ((b"location", location),))

    async def _open(self, asked: Asked) -> Answer:
        """A transparent picture; the open is taken down first."""
        delivery_id, _ = self._verify("o", asked.path[len(_OPEN) :])
        sign = sign_of(asked.method, _headers(asked.headers), picture=True)
        await self._tracker.open(delivery_id, sign)
        return Answer(_PICTURE, _PIXEL)

    async def ask_to_leave(self, request: Request) -> Response:
        """A page with one button. It changes nothing: scanners follow links."""
        try:
            self._verify("u", request.path_params["token"])
        except _Bad:
            return self._not_found(request)
        return self._pages.response(
            request, "unsubscribe.html", headers=_private_headers(), done=False
        )

    async def leave(self, request: Request) -> Response:
        """Leave. RFC 8058: a mail program posts `List-Unsubscribe=One-Click` and wants no redirect."""
        try:
            delivery_id, _ = self._verify("u", request.path_params["token"])
        except _Bad:
            return self._not_found(request)
        one_click = b"One-Click" in await request.body()
        await self._tracker.unsubscribe(delivery_id, "one_click" if one_click else "page")
        return self._pages.response(
            request, "unsubscribe.html", headers=_private_headers(), done=True
        )

    def _verify(self, kind: Kind, token: str, bound: str = "") -> tuple[UUID, int]:
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

    def _not_found(self, request: Request) -> Response:
        return self._pages.response(
            request,
            "problem.html",
            status=404,
            headers=_private_headers(),
            document=NotFound(_BROKEN).document(language_of(request)),
        )


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


def _headers(headers: Sequence[Header]) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name in _TELLING
    }


def _private_headers() -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in _PRIVATE}

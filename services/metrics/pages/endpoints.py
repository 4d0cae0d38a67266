"""`/`, `/login`, `/logout`."""

from collections import OrderedDict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from services.metrics.funnel.report import BAIT_STAGES, MESSAGE_STAGES
from services.metrics.funnel.stages import UNSUBSCRIBED
from services.metrics.pages.overview import Overview
from services.metrics.pages.picture import picture_of
from services.metrics.settings import MetricsSettings
from services.shared.auth.access import SESSION_COOKIE, caller_of
from services.shared.auth.keys import Caller
from services.shared.clock import Clock
from services.shared.errors import Forbidden, Unauthenticated
from services.shared.ground import Ground
from services.shared.web.client_address import client_address, networks
from services.shared.web.pages import PageRoute, Pages

_SESSION_SECONDS = 14 * 24 * 3600
_TRIES, _TRIES_WITHIN = 10, 60.0
_REMEMBERED = 10_000

STAGE_WORDS: dict[str, tuple[str, str]] = {
    "displayed": ("展示", "Displayed"),
    "submitted": ("提交", "Submitted"),
    "verified": ("验证", "Verified"),
    "opened": ("打开资料", "Opened"),
    "sent": ("送出", "Sent"),
    "clicked": ("点击", "Clicked"),
    "inquired": ("咨询", "Inquired"),
    "converted": ("成交", "Converted"),
    "unsubscribed": ("退订", "Unsubscribed"),
    "failed": ("失败", "Failed"),
    "dropped": ("未发", "Dropped"),
    "unknown": ("不明", "Unknown"),
}


class Tries:
    """Counts failed log-ins per address, within the last minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        now = self._clock.monotonic()
        recent = [at for at in self._failed.get(address, []) if now - at < _TRIES_WITHIN]
        if recent:
            self._failed[address] = recent
        else:
            self._failed.pop(address, None)
        return len(recent) >= _TRIES

    def failed(self, address: str) -> None:
        self._failed.setdefault(address, []).append(self._clock.monotonic())
        self._failed.move_to_end(address)
        if len(self._failed) > _REMEMBERED:
            self._failed.popitem(last=False)


class StartPages:
    """The pages of metrics that operators see."""

    def __init__(self, ground: Ground[MetricsSettings], overview: Overview) -> None:
        self._ground = ground
        self._overview = overview
        self._pages = Pages(Path(__file__).parent / "templates", zone=ground.settings.zone)
        self._tries = Tries(ground.clock)
        self._trusted = networks(ground.settings.trusted_proxies)

    async def start(self, request: Request) -> Response:
        """State and log-in for anyone; figures for who is logged in. `?part=live`: what changes."""
        caller = await _caller(request)
        context: dict[str, Any] = {"states": await self._overview.states.value(), "caller": caller}
        if caller is None:
            return self._pages.response(request, "welcome.html", wrong=False, **context)
        figures = await self._overview.figures.value()
        context |= {
            "figures": figures,
            "bait_picture": picture_of(figures.bait, BAIT_STAGES) if figures.bait else None,
            "campaign_picture": picture_of(
                figures.campaign, [s for s in MESSAGE_STAGES if s != UNSUBSCRIBED]
            )
            if figures.campaign
            else None,
            "words": STAGE_WORDS,
        }
        live = request.query_params.get("part") == "live"
        return self._pages.response(request, "live.html" if live else "overview.html", **context)

    async def ask(self, request: Request) -> Response:
        """The log-in page."""
        return self._pages.response(
            request, "login.html", wrong="", next=_inside(request.query_params.get("next"))
        )

    async def log_in(self, request: Request) -> Response:
        """Open a session with a key and go on to where the visitor wanted to."""
        _refuse_foreign(request)
        form = await request.form()
        target = _inside(_text(form, "next"))
        address = client_address(request, self._trusted)
        if self._tries.too_many(address):
            return self._refused(request, target, "too_many", 429)
        try:
            cookie = await self._ground.keys.log_in(_text(form, "key").strip())
        except Unauthenticated:
            self._tries.failed(address)
            return self._refused(request, target, "wrong", 401)
        answer = RedirectResponse(target, status_code=303)
        answer.set_cookie(
            SESSION_COOKIE,
            cookie,
            max_age=_SESSION_SECONDS,
            httponly=True,
            samesite="lax",
            secure=self._ground.settings.public_url.startswith("https://"),
        )
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session."""
        _refuse_foreign(request)
        cookie = request.cookies.get(SESSION_COOKIE)
        if cookie:
            await self._ground.keys.log_out(cookie)
        answer = RedirectResponse("/", status_code=303)
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax")
        return answer

    def _refused(self, request: Request, target: str, wrong: str, status: int) -> Response:
        headers = {"retry-after": str(int(_TRIES_WITHIN))} if status == 429 else None
        return self._pages.response(
            request, "login.html", status=status, headers=headers, wrong=wrong, next=target
        )


def router(pages: StartPages) -> APIRouter:
    """The routes of the start pages."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    routes.add_api_route("/", pages.start, methods=["GET"])
    routes.add_api_route("/login", pages.ask, methods=["GET"])
    routes.add_api_route("/login", pages.log_in, methods=["POST"])
    routes.add_api_route("/logout", pages.log_out, methods=["POST"])
    return routes


async def _caller(request: Request) -> Caller | None:
    """Who is logged in and may read; None for anybody else."""
    try:
        caller = await caller_of(request)
    except Unauthenticated:
        return None
    return caller if caller.may("read") else None


def _refuse_foreign(request: Request) -> None:
    """A browser says when a post comes from another site. Raises `Forbidden`."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _inside(target: str | None) -> str:
    """A path on this site; the start page for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return quote(target, safe="/?&=%#-._~+,:;@")

"""Pages: Jinja2 templates in a shell that all services share, in zh-CN and en, under a strict CSP."""

import functools
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import Depends
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.shared.auth.access import caller_of
from services.shared.auth.keys import Caller
from services.shared.errors import Forbidden, Problem, Unauthenticated
from services.shared.reasons import Language
from services.shared.web.languages import language_of

SHELL = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

CSP = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""Scripts only from our own files. Styles may stand in the page: a bait page is one request."""


class LogInFirst(Problem):
    """An operator page asked for by somebody who is not logged in: the browser is sent to /login."""

    status = 303
    code = "log-in-first"
    titles = ("请先登录", "Log in first")


async def _operator(request: Request) -> Caller:
    try:
        caller = await caller_of(request)
    except Unauthenticated as error:
        target = request.url.path
        if request.method == "GET" and request.url.query:
            target = f"{target}?{request.url.query}"
        raise LogInFirst(extra={"location": f"/login?next={quote(target, safe='/')}"}) from error
    if not caller.may("read"):
        raise Forbidden
    return caller


OperatorPage = Annotated[Caller, Depends(_operator)]
"""A logged-in operator who may read; anybody else is sent to the log-in page."""


class PageRoute(APIRoute):
    """A route of a page: HEAD is answered like GET, without the body. `APIRouter(route_class=PageRoute)`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.methods is not None and "GET" in self.methods:
            self.methods.add("HEAD")


class Pages:
    """Renders the pages of one noun. `folder` holds its templates; the shell's are found behind them."""

    def __init__(self, folder: Path | None = None, *, zone: ZoneInfo | None = None) -> None:
        folders = [folder] if folder else []
        self._zone = zone or ZoneInfo("Asia/Shanghai")
        self._environment = Environment(
            loader=FileSystemLoader([*folders, SHELL]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def response(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        language: Language | None = None,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """The page as an answer, in the visitor's language unless one is given."""
        picked = language or language_of(request)
        text = self.render(name, picked, request=request, **context)
        return HTMLResponse(
            text,
            status_code=status,
            headers={
                "content-security-policy": CSP,
                "content-language": picked,
                "cache-control": "no-store",
                "x-frame-options": "DENY",
                **(headers or {}),
            },
        )

    def render(self, name: str, language: Language, **context: Any) -> str:
        """The text of a page."""
        return self._environment.get_template(name).render(
            lang=language,
            t=functools.partial(_pick, language),
            moment=functools.partial(_moment, self._zone),
            number=_number,
            money=_money,
            other_language="en" if language == "zh-CN" else "zh",
            **{"caller": None, "request": None, **context},
        )


def problem_page(pages: Pages, request: Request, problem: Problem) -> Response | None:
    """Draw a problem for a person who looks at a page; None where there is none to draw."""
    if isinstance(problem, LogInFirst):
        return RedirectResponse(problem.extra["location"], status_code=303)
    language = language_of(request)
    headers: dict[str, str] = {"referrer-policy": "no-referrer"}
    retry_after: int | None = problem.retry_after
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    return pages.response(
        request,
        "problem.html",
        status=problem.status,
        headers=headers,
        document=problem.document(language),
    )


def _pick(language: Language, chinese: str, english: str) -> str:
    return chinese if language == "zh-CN" else english


def _moment(zone: ZoneInfo, value: datetime | None, form: str = "%Y-%m-%d %H:%M") -> Markup:
    if value is None:
        return Markup("–")
    local = value.astimezone(zone)
    return Markup('<time datetime="{}">{}</time>').format(
        value.isoformat(timespec="seconds"), local.strftime(form)
    )


def _number(value: int | float) -> str:  # the two are written differently
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _money(minor: int, currency: str) -> str:
    # the currencies of ISO 4217 without a minor unit that our users meet
    digits = 0 if currency in {"JPY", "KRW", "VND"} else 2
    return f"{currency} {minor / 10**digits:,.{digits}f}"

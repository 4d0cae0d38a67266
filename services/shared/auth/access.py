"""FastAPI dependencies that say who may call: API keys in a header, operator sessions in a cookie."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from services.shared.auth.keys import Caller, Keys, Scope
from services.shared.errors import Forbidden, Unauthenticated

SESSION_COOKIE = "baitwell_session"

_bearer = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer bw_…`")
_cookie = APIKeyCookie(name=SESSION_COOKIE, auto_error=False, description="An operator's session")

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


async def caller_of(request: Request) -> Caller:
    """Who calls. Raises `Unauthenticated`, or `Forbidden` for a form posted from another site."""
    keys: Keys = request.app.state.keys
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials:
        return await keys.caller(credentials.strip())
    cookie = request.cookies.get(SESSION_COOKIE)
    if not cookie:
        raise Unauthenticated
    if request.method not in _SAFE_METHODS and not _same_site(request):
        raise Forbidden
    return await keys.caller(cookie)


def _same_site(request: Request) -> bool:
    """Whether a browser says that the request comes from our own pages (against forged posts)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and origin == request.app.state.public_origin


def require(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """A dependency that lets only callers with `scope` pass."""

    async def check(
        request: Request,
        _key: Annotated[object, Depends(_bearer)],
        _session: Annotated[object, Depends(_cookie)],
    ) -> Caller:
        caller = await caller_of(request)
        if not caller.may(scope):
            raise Forbidden
        return caller

    return check


AdminCaller = Annotated[Caller, Depends(require("admin"))]
ReadCaller = Annotated[Caller, Depends(require("read"))]
LeadsCaller = Annotated[Caller, Depends(require("leads"))]
ReportCaller = Annotated[Caller, Depends(require("report"))]
InternalCaller = Annotated[Caller, Depends(require("internal"))]

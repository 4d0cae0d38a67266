"""Errors become problem documents (RFC 9457), or, for a browser, a page."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from services.shared import correlation
from services.shared.errors import (
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
)
from services.shared.web.body import field_errors
from services.shared.web.languages import language_of

log = logging.getLogger(__name__)

CORRELATION = "baitwell.correlation"
"""Where the edge keeps the correlation id in the request's scope."""

ProblemPage = Callable[[Request, Problem], Response | None]
"""Draws a problem for a person; None to answer with the document."""

Unexpected = Callable[[Request, BaseException], Awaitable[Response]]
"""Logs what nobody expected, and answers."""

_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        Malformed,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        TooLarge,
        UnsupportedMedia,
        Invalid,
    )
}


def problem_response(request: Request, problem: Problem) -> Response:
    """The problem document as an answer."""
    language = language_of(request)
    instance = correlation.current()
    headers = {"content-language": language, "cache-control": "no-store"}
    if problem.retry_after is not None:
        headers["retry-after"] = str(problem.retry_after)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if 300 <= problem.status < 400:
        headers["location"] = problem.extra["location"]
    return JSONResponse(
        problem.document(language, f"urn:baitwell:request:{instance}" if instance else None),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


async def _gone(_request: Request, _error: Any) -> Response:
    """For our figures: nobody is there to read it."""
    return Response(status_code=400)


def handle_problems(app: FastAPI, page: ProblemPage | None = None) -> Unexpected:
    """Answer every error of an app with a problem; what answers the unexpected ones, for who stands outside."""

    def answer(request: Request, problem: Problem) -> Response:
        if page is not None and _wants_page(request):
            drawn = page(request, problem)
            if drawn is not None:
                return drawn
        return problem_response(request, problem)

    async def ours(request: Request, error: Any) -> Response:
        return answer(request, error)

    async def invalid(request: Request, error: Any) -> Response:
        fields = field_errors(list(error.errors()))
        return answer(request, Invalid(fields=fields))

    async def starlettes(request: Request, error: Any) -> Response:
        if isinstance(
            error.__cause__, Problem
        ):  # what reading the body raised, as FastAPI wraps it
            return answer(request, error.__cause__)
        kind = _BY_STATUS.get(error.status_code)
        problem = kind() if kind else Problem()
        response = answer(request, problem)
        for name, value in (error.headers or {}).items():
            if name.lower() == "allow":
                response.headers["allow"] = value
        return response

    async def unexpected(request: Request, error: Any) -> Response:
        # this one is called outside of our middleware
        correlation_id = request.scope.get(CORRELATION)
        with correlation.correlated(correlation_id):
            log.error("unexpected error", exc_info=error)
            response = answer(request, Problem())
        if correlation_id:
            response.headers["x-request-id"] = correlation_id
        return response

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, starlettes)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, unexpected)
    return unexpected


def _wants_page(request: Request) -> bool:
    return not request.url.path.startswith("/v1/") and "text/html" in request.headers.get(
        "accept", ""
    )

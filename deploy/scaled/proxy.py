"""The development proxy: one port in front of the four services. In production use nginx, Caddy or an ingress."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from services.shared.errors import NotFound, Unavailable
from services.shared.process.routing import service_of
from services.shared.web.problems import problem_response

_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one hop only (RFC 9110, section 7.6.1)."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def make_proxy(upstreams: Mapping[str, str]) -> ASGIApp:
    """An app that sends each path to the service that answers it."""
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(30, connect=2),
        limits=httpx.Limits(max_connections=500, max_keepalive_connections=100),
        trust_env=False,
        follow_redirects=False,
    )

    async def forward(request: Request) -> Response:
        name = service_of(request.url.path)
        if name is None:
            return problem_response(request, NotFound())
        url = upstreams[name] + request.scope["raw_path"].decode("ascii")
        if request.scope["query_string"]:
            url += "?" + request.scope["query_string"].decode("ascii")
        upstream = client.build_request(
            request.method, url, headers=_headers(request), content=_body(request)
        )
        try:
            answer = await client.send(upstream, stream=True)
        except (httpx.HTTPError, ClientDisconnect):
            return problem_response(request, Unavailable(retry_after=1))
        response = StreamingResponse(answer.aiter_raw(), answer.status_code)
        response.raw_headers = [
            (name, value)
            for name, value in answer.headers.raw
            if name.decode("latin-1").lower() not in _HOP
        ]
        response.background = _Close(answer)  # type: ignore[assignment]  # it is called like a task
        return response

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        wrong = {}
        for name, url in upstreams.items():
            try:
                answer = await client.get(f"{url}/health/ready", timeout=2)
            except httpx.HTTPError:
                wrong[name] = {"process": "does not answer"}
                continue
            if answer.status_code != 200:
                wrong[name] = answer.json().get("parts", {})
        body = {"status": "unready" if wrong else "ok", "parts": wrong}
        return JSONResponse(body, 503 if wrong else 200)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await client.aclose()

    return Starlette(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/{path:path}", forward, methods=_METHODS),
        ],
        lifespan=lifespan,
    )


class _Close:
    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __call__(self) -> None:
        await self._answer.aclose()


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    kept = [
        (name, value)
        for name, value in request.headers.raw
        if name.decode("latin-1").lower() not in _HOP | {"x-forwarded-for", "x-forwarded-proto"}
    ]
    client = request.client.host if request.client else ""
    return [
        *kept,
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-proto", request.url.scheme.encode()),
    ]


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk

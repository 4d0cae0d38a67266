"""The app factory: what a service contributes becomes a FastAPI app with relay, consumer and tasks.

It can be called many times in one process; nothing is made at import.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from services.shared import outbox
from services.shared.auth.access import caller_of
from services.shared.bus import BusUnavailable
from services.shared.errors import DatabaseUnavailable, Forbidden
from services.shared.events import TOPICS
from services.shared.exposition import CONTENT_TYPE, exposition
from services.shared.gauges import Gauges, gauge_samples
from services.shared.ground import Ground
from services.shared.outbox import Relay
from services.shared.runner.consumer import ConsumerRunner, ConsumerSpec
from services.shared.runner.supervisor import BackgroundTask, Supervisor
from services.shared.web.edge import BodyLimit, Edge, Header
from services.shared.web.hot import Door, HotApp, HotRoute
from services.shared.web.middleware import EdgeMiddleware
from services.shared.web.pages import STATIC, Pages, problem_page
from services.shared.web.problems import handle_problems

ReadyCheck = Callable[[], Awaitable[str | None]]
"""None when all is well, else one line that says what is not ready."""

DEFAULT_LIMIT = 64 * 1024


class ServiceApp(FastAPI):
    """A service's app, with at most one route that stands beside the framework's stack."""

    hot: HotApp | None = None
    beside: ASGIApp | None = None
    """`hot` inside an edge, and with an answer to what nobody expected, as the other routes have it."""
    door: Door | None = None
    """The same route for requests that the server need not make ASGI of."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app: ASGIApp = super().__call__
        if scope["type"] == "http" and self.hot is not None and self.hot.takes(scope):
            app = self.beside or app
        await app(scope, receive, send)

    def admits(
        self, method: str, path: str, query: bytes, headers: Sequence[Header]
    ) -> tuple[Door, str] | None:
        """As `Hall` says."""
        if self.door is None:
            return None
        template = self.door.admits(method, path, query, headers)
        return None if template is None else (self.door, template)


@dataclass(frozen=True)
class Aside:
    """Tasks of a service that may run in a process beside it, and what the two tell each other (as JSON has it).

    Both processes build the service; `tasks` run in one of them, `also` in both. `report` is said by the
    one beside, and `told` to the other; `facts` by that one, and `learn` hears them. `busy`: its work
    should not be disturbed now.
    """

    tasks: Sequence[BackgroundTask]
    also: Sequence[BackgroundTask]
    report: Callable[[], dict[str, Any]]
    told: Callable[[dict[str, Any]], None]
    facts: Callable[[], dict[str, Any]]
    learn: Callable[[dict[str, Any]], None]
    busy: Callable[[], bool]


@dataclass(frozen=True)
class Service:
    """What one service contributes to its app.

    `state` is reached by endpoints as `request.app.state.service`; `closers` run at the end;
    `refresh` before the series are told.
    """

    name: str
    state: Any
    routers: Sequence[APIRouter] = ()
    routes: Sequence[BaseRoute] = ()
    consumer: ConsumerSpec | None = None
    tasks: Sequence[BackgroundTask] = ()
    ready: dict[str, ReadyCheck] = field(default_factory=dict)
    closers: Sequence[Callable[[], Awaitable[None]]] = ()
    refresh: Callable[[], Awaitable[None]] | None = None
    hot: HotRoute | None = None
    """What is too hot for the framework's way to a route; inside the edge all the same."""
    limit: BodyLimit = lambda _path: DEFAULT_LIMIT
    aside: Aside | None = None
    """Started with the service, unless a process beside it runs them."""
    openapi: Callable[[dict[str, Any]], dict[str, Any]] | None = None


def create_app(service: Service, ground: Ground[Any]) -> FastAPI:
    """The app of one service. Its background work starts and stops with its lifespan."""
    engine = _Engine(service, ground)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        try:
            yield
        finally:
            await engine.stop()

    app = ServiceApp(
        title=f"Baitwell {service.name}",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        openapi_url=f"/docs/{service.name}/openapi.json",
        redoc_url=None,
    )
    app.state.service = service.state
    app.state.ground = ground
    app.state.keys = ground.keys
    app.state.public_origin = _origin(ground.settings.public_url)
    app.state.engine = engine
    pages = Pages(zone=ground.settings.zone)
    unexpected = handle_problems(
        app, lambda request, problem: problem_page(pages, request, problem)
    )
    edge = Edge(
        service=service.name,
        telemetry=ground.telemetry,
        traffic=ground.traffic,
        limit=service.limit,
        new_id=ground.ids.new,
    )
    app.add_middleware(EdgeMiddleware, edge=edge)
    if service.hot is not None:
        app.hot = HotApp(service.hot)
        app.beside = ServerErrorMiddleware(EdgeMiddleware(app.hot, edge=edge), unexpected)
        app.door = Door(service.hot, edge, unexpected)
    app.router.routes.extend(service.routes)
    for router in service.routers:
        app.include_router(router)
    _add_health(app, engine)
    _add_viewer(app, service.name, pages)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    if service.openapi is not None:
        _extend_openapi(app, service.openapi)
    return app


class _Engine:
    """A service's background work: relay, consumer, gauges, tasks."""

    def __init__(self, service: Service, ground: Ground[Any]) -> None:
        self.service = service
        self.ground = ground
        self.supervisor = Supervisor(ground.clock)
        self.relay = Relay(
            ground.database, ground.bus, ground.clock, holder=ground.member, traffic=ground.traffic
        )
        self.consumer: ConsumerRunner | None = None
        if service.consumer is not None:
            self.consumer = ConsumerRunner(
                service.consumer,
                ground.database,
                ground.bus,
                ground.clock,
                member=ground.member,
                telemetry=ground.telemetry,
                traffic=ground.traffic,
            )
        self.log_ready = asyncio.Event()
        self.gauges = Gauges(
            service.name, service.consumer, ground, self.supervisor, self.log_ready
        )

    async def start(self) -> None:
        self.supervisor.start(BackgroundTask("log", self._connect))
        self.supervisor.start(BackgroundTask("gauges", self.gauges.run))
        for task in self.service.tasks:
            self.supervisor.start(task)
        if self.service.aside is not None:
            for task in (*self.service.aside.also, *self.service.aside.tasks):
                self.supervisor.start(task)

    async def _connect(self, stop: asyncio.Event) -> None:
        """Connect to the log, however long it takes, then start what needs it. Requests do not wait."""
        while not stop.is_set():
            try:
                await self.ground.bus.start(tuple(TOPICS))
            except BusUnavailable:
                await self.ground.clock.wait(stop, 1.0)
                continue
            self.log_ready.set()
            self.supervisor.start(BackgroundTask("relay", self.relay.run))
            if self.consumer is not None:
                self.supervisor.start(BackgroundTask("consumer", self.consumer.run))
            await stop.wait()

    async def stop(self) -> None:
        self.relay.wake()
        await self.supervisor.stop()
        for close in self.service.closers:
            await close()

    async def refresh(self) -> None:
        """Read what the series tell: the shared gauges, and what the service has of its own."""
        await self.gauges.refresh()
        if self.service.refresh is not None:
            await self.service.refresh()

    async def unready(self) -> dict[str, str]:
        """The parts that are not ready, each with one line that says why."""
        wrong: dict[str, str] = {}
        try:
            await self.ground.database.read(outbox.state)
        except DatabaseUnavailable:
            wrong["database"] = "the database does not answer"
        if not self.log_ready.is_set():
            wrong["log"] = "the event log does not answer yet"
        if self.consumer is not None and self.consumer.stopped:
            wrong["consumer"] = self.consumer.stopped
        for name, check in self.service.ready.items():
            reason = await check()
            if reason:
                wrong[name] = reason
        return wrong


def _add_health(app: FastAPI, engine: _Engine) -> None:
    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        wrong = await engine.unready()
        body = {
            "status": "unready" if wrong else "ok",
            "service": engine.service.name,
            "parts": wrong,
        }
        return JSONResponse(body, status_code=503 if wrong else 200)

    async def metrics(_request: Request) -> Response:
        await engine.refresh()
        return Response(exposition(engine.ground.registry), media_type=CONTENT_TYPE)

    async def gauges(request: Request) -> Response:
        """What waits here, for the start page of another service."""
        if not (await caller_of(request)).may("internal"):
            raise Forbidden
        await engine.refresh()
        return JSONResponse(gauge_samples(engine.ground.registry))

    app.router.add_route("/internal/gauges", gauges, include_in_schema=False)
    app.router.add_route("/health/live", live, include_in_schema=False)
    app.router.add_route("/health/ready", ready, include_in_schema=False)
    app.router.add_route("/metrics", metrics, include_in_schema=False)


def _add_viewer(app: FastAPI, service: str, pages: Pages) -> None:
    """The API document as a page, with files of our own only: FastAPI's loads them from elsewhere."""

    async def viewer(request: Request) -> Response:
        return pages.response(request, "api.html", language="en", service=service)

    app.router.add_route(f"/docs/{service}", viewer, include_in_schema=False)


def _extend_openapi(app: FastAPI, extend: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    inner = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = extend(inner())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _origin(public_url: str) -> str:
    scheme, _, rest = public_url.partition("://")
    return f"{scheme}://{rest.split('/', 1)[0]}"

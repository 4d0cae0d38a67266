"""A small app with an endpoint for everything that can go wrong, on the real edge."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Form
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from services.shared import correlation, errors
from services.shared.clock import VirtualClock
from services.shared.errors import Problem
from services.shared.ids import Ids
from services.shared.telemetry import Telemetry
from services.shared.traffic import Traffic
from services.shared.web.body import StrictRoute, read_json
from services.shared.web.edge import Edge
from services.shared.web.middleware import EdgeMiddleware
from services.shared.web.problems import handle_problems

LIMIT = 1000


class Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    number: int | None = Field(default=None, ge=0)
    ratio: float | None = None


@dataclass
class Small:
    """The app, a client, and what it has seen."""

    app: FastAPI
    client: httpx.AsyncClient
    registry: CollectorRegistry
    seen: list[Any]

    def requests(self) -> dict[tuple[str, str, str], float]:
        """How many requests were measured, by route, method and status."""
        return {
            (s.labels["route"], s.labels["method"], s.labels["status"]): s.value
            for metric in self.registry.collect()
            for s in metric.samples
            if s.name == "baitwell_request_duration_seconds_count"
        }


def _router(seen: list[Any]) -> APIRouter:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/v1/notes", status_code=201)
    async def make(note: Note) -> Note:
        seen.append(note)
        return note

    @router.post("/v1/forms")
    async def form(name: Annotated[str, Form()]) -> dict[str, str]:
        return {"name": name}

    @router.get("/v1/notes/{note_id}")
    async def one(note_id: UUID, limit: int = 10) -> dict[str, str]:
        return {"id": str(note_id), "correlation": correlation.current() or ""}

    @router.get("/raise/{name}")
    async def fail(name: str) -> None:
        kind: type[Problem] = getattr(errors, name)
        raise kind(("细节", "the detail"))

    @router.get("/v1/raise/{name}")
    async def fail_api(name: str) -> None:
        kind: type[Problem] = getattr(errors, name)
        raise kind(("细节", "the detail"))

    @router.get("/bug")
    async def bug() -> None:
        raise LookupError("li.na@example.com is in nobody's list")

    return router


def _hot(seen: list[Any]) -> list[Route]:
    adapter = TypeAdapter(Note)

    async def hot(request: Request) -> Response:
        note = await read_json(request, adapter)
        seen.append(note)
        return JSONResponse({"name": note.name})

    return [Route("/hot/{slug}", hot, methods=["POST"])]


def _page(request: Request, problem: Problem) -> Response | None:
    return HTMLResponse(f"<h1>{problem.titles[1]}</h1>", status_code=problem.status)


@pytest.fixture
async def small() -> AsyncIterator[Small]:
    seen: list[Any] = []
    registry = CollectorRegistry()
    app = FastAPI()
    handle_problems(app, _page)
    new_id: Callable[[], UUID] = Ids(VirtualClock()).new
    edge = Edge(
        service="small",
        telemetry=Telemetry(registry),
        traffic=Traffic(VirtualClock()),
        limit=lambda path: LIMIT,
        new_id=new_id,
    )
    app.add_middleware(EdgeMiddleware, edge=edge)
    app.router.routes.extend(_hot(seen))
    app.include_router(_router(seen))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield Small(app, client, registry, seen)

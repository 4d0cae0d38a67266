"""Metrics on its ground."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import APIRouter

from services.metrics import migrations
from services.metrics.engagements import endpoints as engagement_endpoints
from services.metrics.engagements import repository as kept_answers
from services.metrics.engagements.credit import RULE
from services.metrics.engagements.service import ReportDesk
from services.metrics.engagements.settling import Settler
from services.metrics.funnel import endpoints as funnel_endpoints
from services.metrics.funnel.counting import Counting
from services.metrics.funnel.exposition import FunnelSeries
from services.metrics.funnel.service import FunnelDesk
from services.metrics.funnel.stages import Days
from services.metrics.models import metadata
from services.metrics.pages import endpoints as page_endpoints
from services.metrics.pages.endpoints import StartPages
from services.metrics.pages.overview import Overview
from services.metrics.settings import MetricsSettings
from services.metrics.subjects.handlers import TOPICS, Projections
from services.metrics.tracking.describing import with_links
from services.metrics.tracking.endpoints import TrackingRoutes
from services.metrics.tracking.service import Tracker
from services.shared import outbox
from services.shared.app import DEFAULT_LIMIT, Service
from services.shared.auth.access import InternalCaller
from services.shared.errors import DatabaseUnavailable
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind
from services.shared.runner.consumer import ConsumerSpec
from services.shared.runner.supervisor import BackgroundTask

_TIDY_SECONDS = 3600.0
_REPORT_LIMIT = 2 * 1024 * 1024


@dataclass(frozen=True)
class Metrics:
    """What metrics' endpoints and tests reach as `app.state.service`."""

    ground: Ground[MetricsSettings]
    counting: Counting
    projections: Projections
    tracker: Tracker
    settler: Settler
    reports: ReportDesk
    funnel: FunnelDesk
    series: FunnelSeries


def assemble(ground: Ground[MetricsSettings]) -> Metrics:
    """Metrics' parts on their ground."""
    counting = Counting(Days(ground.settings.zone))
    tracker = Tracker(ground)
    return Metrics(
        ground,
        counting,
        Projections(counting, ground.clock),
        tracker,
        Settler(ground, counting),
        ReportDesk(ground, tracker),
        FunnelDesk(ground, RULE),
        FunnelSeries(ground.database, ground.clock, ground.registry),
    )


def build(ground: Ground[MetricsSettings]) -> Service:
    """What metrics contributes to its app."""
    metrics = assemble(ground)
    tracking = TrackingRoutes(ground, metrics.tracker)
    return Service(
        name="metrics",
        state=metrics,
        routers=(
            engagement_endpoints.router(metrics.reports, ground.settings.outbox_limit),
            funnel_endpoints.router(metrics.funnel),
            page_endpoints.router(StartPages(ground, Overview(ground, metrics.funnel))),
            _internal(ground),
        ),
        routes=tracking.routes(),
        hot=tracking,
        consumer=ConsumerSpec("metrics", TOPICS, metrics.projections.handlers()),
        tasks=(
            BackgroundTask("settler", metrics.settler.run),
            BackgroundTask("metrics tidying", partial(_tidy, ground)),
        ),
        limit=lambda path: _REPORT_LIMIT if path == "/v1/engagements" else DEFAULT_LIMIT,
        openapi=_describe,
        refresh=metrics.series.refresh,
    )


def _describe(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with what FastAPI does not see."""
    return with_links(engagement_endpoints.with_report_schema(document))


def _internal(ground: Ground[MetricsSettings]) -> APIRouter:
    routes = APIRouter(prefix="/internal", include_in_schema=False)

    @routes.get("/freshness")
    async def freshness(_caller: InternalCaller) -> dict[str, float]:
        """How old the oldest change is that others have not heard of."""
        oldest = (await ground.database.read(outbox.state)).oldest
        age = (ground.clock.now() - oldest).total_seconds() if oldest else 0.0
        return {"oldest_unpublished_seconds": max(0.0, age)}

    return routes


async def _tidy(ground: Ground[MetricsSettings], stop: asyncio.Event) -> None:
    """Forget answers whose time is over."""
    while not stop.is_set():
        try:
            now = ground.clock.now()
            await ground.database.transaction(partial(kept_answers.forget_old, now=now))
        except DatabaseUnavailable:
            await ground.clock.wait(stop, 1.0)
            continue
        await ground.clock.wait(stop, _TIDY_SECONDS)


KIND = ServiceKind("metrics", MetricsSettings, metadata, migrations, build)

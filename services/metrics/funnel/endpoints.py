"""`GET /v1/funnel`."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from services.metrics.funnel.report import By
from services.metrics.funnel.schemas import FunnelReport
from services.metrics.funnel.service import FunnelDesk, Question
from services.shared.auth.access import ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.languages import language_of
from services.shared.web.openapi import problems

_THING = r"^[A-Za-z0-9._-]{1,64}$"


def _question(
    by: By = "bait",
    since: Annotated[date | None, Query(alias="from", description="First day.")] = None,
    until: Annotated[date | None, Query(alias="to", description="Last day.")] = None,
    bait: Annotated[str | None, Query(pattern=_THING, description="A bait's slug or id.")] = None,
    campaign: Annotated[str | None, Query(pattern=_THING, description="A campaign's id.")] = None,
    after: Annotated[str | None, Query(pattern=_THING, description="Last page's `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Question:
    return Question(by, since, until, bait, campaign, after, limit)


def router(desk: FunnelDesk) -> APIRouter:
    """The router over one desk."""
    routes = APIRouter(route_class=StrictRoute, tags=["funnel"])

    @routes.get(
        "/v1/funnel",
        operation_id="read_funnel",
        summary="The funnel by bait, campaign, channel or day",
        description="Exact totals beside rates; machines counted apart. Without days: all time "
        "(by day: the last 90 days). A day is a day of the installation's time zone.",
        responses=problems(401, 403, 422, 503),
    )
    async def read_funnel(
        request: Request, _caller: ReadCaller, question: Annotated[Question, Depends(_question)]
    ) -> FunnelReport:
        return await desk.report(question, chinese=language_of(request) == "zh-CN")

    return routes

"""`/v1/campaigns`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.push.campaigns.schemas import (
    CampaignIn,
    CampaignList,
    CampaignOut,
    CountsOut,
    StateCount,
)
from services.push.campaigns.service import CampaignDesk
from services.push.campaigns.states import Action
from services.push.paging import MOST, PAGE
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.database.cursors import cursor_of
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS
from services.shared.web.versions import ExpectedVersion, etag

router = APIRouter(
    prefix="/v1/campaigns", tags=["campaigns"], route_class=StrictRoute, responses=PROBLEMS
)


def desk_of(request: Request) -> CampaignDesk:
    """The desk that the service was built with."""
    desk: CampaignDesk = request.app.state.service.campaigns
    return desk


Desk = Annotated[CampaignDesk, Depends(desk_of)]
CampaignId = Annotated[UUID, Path(description="The campaign's id")]


@router.get("", operation_id="list_campaigns", summary="Campaigns, newest first")
async def list_campaigns(
    _caller: ReadCaller,
    desk: Desk,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> CampaignList:
    found, runs = await desk.listing(cursor, limit)
    last = found[limit - 1] if len(found) > limit else None
    return CampaignList(
        items=[CampaignOut.of(campaign, runs.get(campaign.id)) for campaign in found[:limit]],
        next=cursor_of(last.created_at, last.id) if last else None,
    )


@router.post("", operation_id="create_campaign", summary="Make a draft", status_code=201)
async def create_campaign(
    caller: AdminCaller, desk: Desk, body: CampaignIn, response: Response
) -> CampaignOut:
    campaign = await desk.create(body, caller.name)
    response.headers["etag"] = etag(campaign.version)
    response.headers["location"] = f"/v1/campaigns/{campaign.id}"
    return CampaignOut.of(campaign, None)


@router.get("/{campaign_id}", operation_id="get_campaign", summary="A campaign")
async def get_campaign(
    _caller: ReadCaller, desk: Desk, campaign_id: CampaignId, response: Response
) -> CampaignOut:
    campaign, run = await desk.get(campaign_id)
    response.headers["etag"] = etag(campaign.version)
    return CampaignOut.of(campaign, run)


@router.put(
    "/{campaign_id}",
    operation_id="edit_campaign",
    summary="Change a draft or a paused campaign",
)
async def edit_campaign(
    _caller: AdminCaller,
    desk: Desk,
    campaign_id: CampaignId,
    expected: ExpectedVersion,
    body: CampaignIn,
    response: Response,
) -> CampaignOut:
    campaign, run = await desk.edit(campaign_id, expected, body)
    response.headers["etag"] = etag(campaign.version)
    return CampaignOut.of(campaign, run)


@router.get(
    "/{campaign_id}/counts",
    operation_id="count_campaign",
    summary="Where the members of a campaign are, by state and reason",
)
async def count_campaign(_caller: ReadCaller, desk: Desk, campaign_id: CampaignId) -> CountsOut:
    counts = await desk.counts(campaign_id)
    return CountsOut(
        campaign_id=campaign_id,
        state=counts.campaign.state,
        planning_complete=counts.run is not None and counts.run.complete,
        members=counts.run.members if counts.run else 0,
        deliveries=[
            StateCount(state=c.state, reason=c.reason, count=c.number, until=c.until)
            for c in counts.deliveries
        ],
        skipped=counts.skipped,
        at=counts.at,
    )


def _acting(action: Action) -> Callable[..., Awaitable[CampaignOut]]:
    async def act(
        caller: AdminCaller, desk: Desk, campaign_id: CampaignId, response: Response
    ) -> CampaignOut:
        campaign, run = await desk.act(campaign_id, action, caller.name)
        response.headers["etag"] = etag(campaign.version)
        return CampaignOut.of(campaign, run)

    return act


for _action in get_args(Action):
    router.add_api_route(
        f"/{{campaign_id}}/{_action}",
        _acting(_action),
        methods=["POST"],
        operation_id=f"{_action}_campaign",
        summary=f"{_action.capitalize()} a campaign",
        description="What is so already stays so; what its state does not allow is refused with 409.",
    )

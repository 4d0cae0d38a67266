"""`/v1/segments`: segments are made, changed, retired, counted and walked through."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response

from services.profile.paging import PAGE, After, Limit
from services.profile.segments.schemas import (
    Count,
    Members,
    Preview,
    RuleDocument,
    Sample,
    SegmentDocument,
    SegmentList,
    SegmentState,
)
from services.profile.segments.service import SAMPLE, Segments
from services.profile.state import ProfileOfRequest
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS, problems
from services.shared.web.versions import ExpectedVersion, etag

router = APIRouter(prefix="/v1/segments", tags=["segments"], route_class=StrictRoute)

_READ = problems(401, 403, 404, 422, 503)


def _segments(service: ProfileOfRequest) -> Segments:
    ground = service.ground
    return Segments(ground.database, ground.clock, ground.ids)


SegmentsOfRequest = Annotated[Segments, Depends(_segments)]


def _tagged(response: Response, state: SegmentState) -> SegmentState:
    response.headers["etag"] = etag(state.version)
    return state


@router.post(
    "", status_code=201, summary="Make a segment", operation_id="create_segment", responses=PROBLEMS
)
async def create_segment(
    document: SegmentDocument,
    segments: SegmentsOfRequest,
    response: Response,
    _caller: AdminCaller,
) -> SegmentState:
    """A name and a rule: `all`, `any` and `not` over conditions on people."""
    state = await segments.create(document)
    response.headers["location"] = f"/v1/segments/{state.id}"
    return _tagged(response, state)


@router.get(
    "",
    summary="List segments",
    operation_id="list_segments",
    responses=problems(401, 403, 422, 503),
)
async def list_segments(
    segments: SegmentsOfRequest, _caller: ReadCaller, after: After = None, limit: Limit = PAGE
) -> SegmentList:
    """Open segments, newest first."""
    return await segments.page(after, limit)


@router.post("/preview", summary="Try a rule", operation_id="preview_segment", responses=PROBLEMS)
async def preview_segment(
    document: RuleDocument, segments: SegmentsOfRequest, _caller: ReadCaller
) -> Preview:
    """How many people a rule would find, and some of them. Nothing is kept."""
    return await segments.preview(document.rule)


@router.get("/{segment_id:uuid}", summary="A segment", operation_id="get_segment", responses=_READ)
async def get_segment(
    segment_id: UUID, segments: SegmentsOfRequest, response: Response, _caller: ReadCaller
) -> SegmentState:
    """Also a retired one."""
    return _tagged(response, await segments.show(segment_id))


@router.put(
    "/{segment_id:uuid}",
    summary="Change a segment",
    operation_id="change_segment",
    responses=PROBLEMS | problems(410),
)
async def change_segment(
    segment_id: UUID,
    document: SegmentDocument,
    segments: SegmentsOfRequest,
    response: Response,
    _caller: AdminCaller,
    expected: ExpectedVersion,
) -> SegmentState:
    """The whole segment anew. Campaigns that use it take who is in it when they go out."""
    return _tagged(response, await segments.change(segment_id, expected, document))


@router.delete(
    "/{segment_id:uuid}",
    status_code=204,
    summary="Retire a segment",
    operation_id="retire_segment",
    responses=PROBLEMS | problems(410),
)
async def retire_segment(
    segment_id: UUID,
    segments: SegmentsOfRequest,
    _caller: AdminCaller,
    expected: ExpectedVersion,
) -> None:
    """It leaves the list and can't be changed; a campaign that uses it already can go on."""
    await segments.retire(segment_id, expected)


@router.get(
    "/{segment_id}/count",
    summary="Count a segment",
    operation_id="count_segment",
    responses=_READ,
)
async def count_segment(
    segment_id: UUID, segments: SegmentsOfRequest, _caller: ReadCaller
) -> Count:
    """How many people are in it now."""
    return Count(count=await segments.count(segment_id))


@router.get(
    "/{segment_id}/sample",
    summary="Some members",
    operation_id="sample_segment",
    responses=_READ,
)
async def sample_segment(
    segment_id: UUID,
    segments: SegmentsOfRequest,
    _caller: ReadCaller,
    limit: Annotated[int, Query(ge=1, le=50)] = SAMPLE,
) -> Sample:
    """Some of the people in it, without their addresses."""
    return await segments.sample(segment_id, limit)


@router.get(
    "/{segment_id}/members",
    summary="Members by page",
    operation_id="list_segment_members",
    responses=_READ,
)
async def list_members(
    segment_id: UUID,
    segments: SegmentsOfRequest,
    _caller: ReadCaller,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Members:
    """Profile ids in order. Who joins meanwhile may or may not be seen; nobody is seen twice."""
    return await segments.members(segment_id, after, limit)

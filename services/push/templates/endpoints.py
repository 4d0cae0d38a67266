"""`/v1/templates`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.push.paging import MOST, PAGE
from services.push.templates.schemas import (
    PreviewIn,
    PreviewOut,
    TemplateEdit,
    TemplateIn,
    TemplateList,
    TemplateOut,
    TemplateSummary,
    TrialIn,
    TrialOut,
)
from services.push.templates.service import TemplateDesk
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.database.cursors import cursor_of
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS, problems
from services.shared.web.versions import ExpectedVersion, etag

router = APIRouter(
    prefix="/v1/templates", tags=["templates"], route_class=StrictRoute, responses=PROBLEMS
)


def desk_of(request: Request) -> TemplateDesk:
    """The desk that the service was built with."""
    desk: TemplateDesk = request.app.state.service.templates
    return desk


Desk = Annotated[TemplateDesk, Depends(desk_of)]
TemplateId = Annotated[UUID, Path(description="The template's id")]


@router.get("", operation_id="list_templates", summary="Templates, newest first")
async def list_templates(
    _caller: ReadCaller,
    desk: Desk,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = PAGE,
) -> TemplateList:
    found = await desk.listing(cursor, limit)
    more = len(found) > limit
    last = found[limit - 1] if more else None
    return TemplateList(
        items=[TemplateSummary.of(template) for template in found[:limit]],
        next=cursor_of(last.created_at, last.id) if last else None,
    )


@router.post("", operation_id="create_template", summary="Make a template", status_code=201)
async def create_template(
    caller: AdminCaller, desk: Desk, body: TemplateIn, response: Response
) -> TemplateOut:
    template, version = await desk.create(body, caller.name)
    response.headers["etag"] = etag(version.number)
    response.headers["location"] = f"/v1/templates/{template.id}"
    return TemplateOut.whole(template, version)


@router.get("/{template_id}", operation_id="get_template", summary="A template")
async def get_template(
    _caller: ReadCaller, desk: Desk, template_id: TemplateId, response: Response
) -> TemplateOut:
    template, version = await desk.get(template_id)
    response.headers["etag"] = etag(version.number)
    return TemplateOut.whole(template, version)


@router.get(
    "/{template_id}/versions/{number}",
    operation_id="get_template_version",
    summary="One version of a template",
)
async def get_template_version(
    _caller: ReadCaller,
    desk: Desk,
    template_id: TemplateId,
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
) -> TemplateOut:
    return TemplateOut.whole(*await desk.get(template_id, number))


@router.put(
    "/{template_id}", operation_id="edit_template", summary="Edit a template: a new version"
)
async def edit_template(
    caller: AdminCaller,
    desk: Desk,
    template_id: TemplateId,
    expected: ExpectedVersion,
    body: TemplateEdit,
    response: Response,
) -> TemplateOut:
    template, version = await desk.edit(template_id, expected, body, caller.name)
    response.headers["etag"] = etag(version.number)
    return TemplateOut.whole(template, version)


@router.post(
    "/{template_id}/preview",
    operation_id="preview_template",
    summary="The message as a person would get it",
)
async def preview_template(
    _caller: ReadCaller, desk: Desk, template_id: TemplateId, body: PreviewIn
) -> PreviewOut:
    return await desk.preview(template_id, body)


@router.post(
    "/{template_id}/test",
    operation_id="test_template",
    summary="Send a test to an address of your own",
    status_code=202,
    responses=problems(429),
)
async def send_test(
    _caller: AdminCaller, desk: Desk, template_id: TemplateId, body: TrialIn
) -> TrialOut:
    return TrialOut(delivery_id=await desk.send_test(template_id, body))

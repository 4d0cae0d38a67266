"""`/v1/baits`: baits are made, changed, looked at and retired."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from services.capture.baits.live import NoSuchBait
from services.capture.baits.schemas import (
    BaitDocument,
    BaitList,
    BaitState,
    BaitVersionState,
    FileResource,
    NewBait,
    Slug,
)
from services.capture.baits.service import Baits
from services.capture.files.download import download
from services.capture.files.multipart import FilePart
from services.capture.files.names import harmless_media_type, harmless_name
from services.capture.files.service import Files, upload
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS, problems
from services.shared.web.versions import ExpectedVersion, etag

router = APIRouter(prefix="/v1/baits", tags=["baits"], route_class=StrictRoute)

_READ = problems(401, 403, 404, 422, 503)
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


def _baits(request: Request) -> Baits:
    baits: Baits = request.app.state.service.baits
    return baits


def _tagged(response: Response, state: BaitState) -> BaitState:
    response.headers["etag"] = etag(state.version)
    return state


@router.post(
    "", status_code=201, summary="Make a bait", operation_id="create_bait", responses=PROBLEMS
)
async def create_bait(
    new: NewBait, request: Request, response: Response, _caller: AdminCaller
) -> BaitState:
    """A bait with its form and, if it is a text or an address, its resource."""
    state = await _baits(request).create(new)
    response.headers["location"] = f"/v1/baits/{state.slug}"
    return _tagged(response, state)


@router.get(
    "", summary="List baits", operation_id="list_baits", responses=problems(401, 403, 422, 503)
)
async def list_baits(
    request: Request,
    _caller: ReadCaller,
    after: Annotated[Slug | None, Query(description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> BaitList:
    """Baits by slug."""
    return await _baits(request).page(after, limit)


@router.get("/{slug}", summary="A bait", operation_id="get_bait", responses=_READ)
async def get_bait(
    slug: Slug, request: Request, response: Response, _caller: ReadCaller
) -> BaitState:
    """What it says now, whether it takes leads, and what becomes of each kind of contact."""
    return _tagged(response, await _baits(request).show(slug))


@router.put("/{slug}", summary="Change a bait", operation_id="change_bait", responses=PROBLEMS)
async def change_bait(
    slug: Slug,
    document: BaitDocument,
    request: Request,
    response: Response,
    _caller: AdminCaller,
    expected: ExpectedVersion,
) -> BaitState:
    """The whole bait anew: a new version. Leads keep naming the version that they saw."""
    changed = await _baits(request).change(slug, expected, document)
    return _tagged(response, changed)


@router.post(
    "/{slug}/retire", summary="Retire a bait", operation_id="retire_bait", responses=PROBLEMS
)
async def retire_bait(
    slug: Slug,
    request: Request,
    response: Response,
    _caller: AdminCaller,
    expected: ExpectedVersion,
) -> BaitState:
    """Its form closes for good; links that were sent keep working."""
    return _tagged(response, await _baits(request).retire(slug, expected))


@router.get(
    "/{slug}/versions/{number}",
    summary="A version of a bait",
    operation_id="get_bait_version",
    responses=_READ,
)
async def get_bait_version(
    slug: Slug,
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
    request: Request,
    _caller: ReadCaller,
) -> BaitVersionState:
    """What a bait said once: the form and the consent texts that a lead saw."""
    return await _baits(request).version(slug, number)


@router.put(
    "/{slug}/resource",
    summary="Upload the resource",
    operation_id="put_resource",
    responses=PROBLEMS,
    openapi_extra=_FILE_BODY,
)
@router.post(
    "/{slug}/resource",
    summary="Upload the resource",
    operation_id="post_resource",
    responses=PROBLEMS,
    openapi_extra=_FILE_BODY,
)
async def upload_resource(
    slug: Slug,
    request: Request,
    response: Response,
    _caller: AdminCaller,
    expected: ExpectedVersion,
) -> BaitState:
    """A file of up to 25 MB, as the part `file` of multipart/form-data: a new version of the bait."""
    await _baits(request).show(slug)
    files: Files = request.app.state.service.files
    with upload() as taken:
        part = FilePart(request.headers.get("content-type", ""), taken)
        await part.read(request.stream())
        sha256 = await files.store(taken)
        resource = FileResource(
            kind="file",
            sha256=sha256,
            name=harmless_name(part.name or ""),
            media_type=harmless_media_type(part.media_type),
            size=taken.size,
        )
    return _tagged(response, await _baits(request).give(slug, expected, resource))


@router.get(
    "/{slug}/resource",
    summary="Download the resource",
    operation_id="get_resource",
    response_class=Response,
    responses={
        200: {
            "description": "The file.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **_READ,
    },
)
async def get_resource(slug: Slug, request: Request, _caller: ReadCaller) -> Response:
    """The uploaded file, for those who manage baits."""
    state = await _baits(request).show(slug)
    if not isinstance(state.bait.resource, FileResource):
        raise NoSuchBait
    given = state.bait.resource
    files: Files = request.app.state.service.files
    return download(files.read(given.sha256), given.name, given.media_type, given.size)

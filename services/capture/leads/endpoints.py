"""What operators do with a lead: look at its state, and revoke its link."""

from uuid import UUID

from fastapi import APIRouter, Request

from services.capture.leads.after import LeadFile
from services.capture.leads.schemas import LeadState
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import problems

router = APIRouter(prefix="/v1/leads", tags=["leads"], route_class=StrictRoute)


def _file(request: Request) -> LeadFile:
    file: LeadFile = request.app.state.service.leads
    return file


@router.get(
    "/{lead_id}",
    summary="The state of a lead",
    operation_id="get_lead",
    responses=problems(401, 403, 404, 422, 503),
)
async def get_lead(lead_id: UUID, request: Request, _caller: ReadCaller) -> LeadState:
    """When it was accepted, verified, opened; nothing personal."""
    return await _file(request).state(lead_id)


@router.post(
    "/{lead_id}/revoke",
    summary="Revoke a lead's link",
    operation_id="revoke_lead",
    responses=problems(401, 403, 404, 422, 503),
)
async def revoke_lead(lead_id: UUID, request: Request, _caller: AdminCaller) -> LeadState:
    """The link in its bait mail stops working at once. Twice is once."""
    return await _file(request).revoke(lead_id)

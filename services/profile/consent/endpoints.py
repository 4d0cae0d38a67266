"""`/v1/profiles/{id}/consents`: operators record what people said."""

from uuid import UUID

from fastapi import APIRouter

from services.profile.consent.schemas import NewSaying, Recorded
from services.profile.consent.service import Consents
from services.profile.state import ProfileOfRequest
from services.shared.auth.access import AdminCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS

router = APIRouter(prefix="/v1/profiles", tags=["profiles"], route_class=StrictRoute)


@router.post(
    "/{profile_id}/consents",
    status_code=201,
    summary="Record a consent",
    operation_id="record_consent",
    responses=PROBLEMS,
)
async def record_consent(
    profile_id: UUID, new: NewSaying, service: ProfileOfRequest, caller: AdminCaller
) -> Recorded:
    """Given or withdrawn, with its provenance. It stays on record for good, and takes effect at once.

    A consent that was said after the person had left is a new agreement, also for push. One that was
    said before they left is kept, not `effective`: the withdrawal stands.
    """
    ground = service.ground
    consents = Consents(ground.database, ground.clock, ground.ids)
    return await consents.record(profile_id, new, caller.name)

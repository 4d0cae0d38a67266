"""`/internal/unsubscribe`: metrics says at once that somebody has left."""

from fastapi import APIRouter, Request

from services.push.reach.handlers import unsubscribe
from services.push.reach.schemas import UnsubscribeIn, UnsubscribeOut
from services.shared.auth.access import InternalCaller
from services.shared.ground import Ground
from services.shared.web.body import StrictRoute

router = APIRouter(
    prefix="/internal", tags=["internal"], route_class=StrictRoute, include_in_schema=False
)


@router.post("/unsubscribe", summary="Stop marketing to a contact at once")
async def stop_at_once(
    request: Request, _caller: InternalCaller, body: UnsubscribeIn
) -> UnsubscribeOut:
    """Durable when it answers: no message is marked for sending afterwards."""
    ground: Ground[object] = request.app.state.ground  # type: ignore[type-var]  # only its database
    known = await ground.database.transaction(
        lambda session: unsubscribe(session, body.contact_key, body.delivery_id, body.at)
    )
    return UnsubscribeOut(known=known)

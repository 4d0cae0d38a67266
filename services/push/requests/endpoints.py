"""`POST /v1/deliveries`: ask for one message."""

from fastapi import APIRouter, Request, Response

from services.push.requests.schemas import MessageIn, MessageOut
from services.push.requests.service import RequestDesk
from services.shared.auth.access import LeadsCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS

router = APIRouter(
    prefix="/v1/deliveries", tags=["deliveries"], route_class=StrictRoute, responses=PROBLEMS
)


@router.post("", status_code=202, summary="Send one message to one person")
async def request_message(
    request: Request, _caller: LeadsCaller, body: MessageIn, response: Response
) -> MessageOut:
    """The message is planned when this answers; whether it may go out is asked when its turn comes.

    The same `cause_id` for the same person again answers with the delivery that there is.
    """
    desk: RequestDesk = request.app.state.service.requests
    answer = await desk.accept(body)
    response.headers["location"] = f"/v1/deliveries/{answer.delivery_id}"
    return answer

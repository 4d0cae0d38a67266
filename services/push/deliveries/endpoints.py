"""`/v1/deliveries`: what became of a message, and why."""

from uuid import UUID

from fastapi import APIRouter, Request

from services.push.deliveries.desk import DeliveryDesk
from services.push.deliveries.schemas import DeliveryOut, DispatchStatus
from services.shared.auth.access import AdminCaller, ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS

router = APIRouter(
    prefix="/v1/deliveries", tags=["deliveries"], route_class=StrictRoute, responses=PROBLEMS
)


def desk_of(request: Request) -> DeliveryDesk:
    """The desk that the service was built with."""
    desk: DeliveryDesk = request.app.state.service.deliveries
    return desk


@router.get("/status", summary="What goes out now, and what is paused for which reason")
async def status(request: Request, _caller: ReadCaller) -> DispatchStatus:
    return desk_of(request).status()


@router.post("/clock/confirm", summary="Say that the wall clock is right after it jumped")
async def confirm_clock(request: Request, _caller: AdminCaller) -> DispatchStatus:
    """Scheduled sends go on, by the time as it is now."""
    desk = desk_of(request)
    await desk.wall_clock.confirm()
    return desk.status()


@router.get("/{delivery_id}", summary="One delivery with every decision on its way")
async def show(request: Request, _caller: ReadCaller, delivery_id: UUID) -> DeliveryOut:
    return await desk_of(request).show(delivery_id)


@router.post("/{delivery_id}/resend", summary="Send one again whose result nobody knows")
async def resend(request: Request, _caller: AdminCaller, delivery_id: UUID) -> DeliveryOut:
    """The person may get it twice: nobody knows whether they have it. 409 unless it is `unknown`."""
    return await desk_of(request).resend(delivery_id)

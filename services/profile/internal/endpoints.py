"""`/internal`: the calls of push and metrics, with a key of scope `internal`. Never proxied."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, model_validator
from sqlmodel import Session

from services.profile.people import repository
from services.profile.people.schemas import ContactQuery, Typed
from services.profile.people.service import People
from services.profile.segments.endpoints import SegmentsOfRequest
from services.profile.segments.schemas import CountedMembers
from services.profile.state import ProfileOfRequest
from services.shared import outbox
from services.shared.auth.access import InternalCaller
from services.shared.contact import Channel
from services.shared.errors import Invalid
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import problems

router = APIRouter(
    prefix="/internal", tags=["internal"], route_class=StrictRoute, include_in_schema=False
)

_PROBLEMS = problems(401, 403, 404, 422, 503)


class Freshness(BaseModel):
    """The age of the oldest change that is not published yet; 0 when all are."""

    oldest_unpublished_seconds: float


class MatchQuery(BaseModel):
    """A contact as typed, or a profile id."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel | None = None
    address: Typed | None = None
    account: str = ""
    profile_id: UUID | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "MatchQuery":
        by_contact = self.channel is not None and self.address is not None
        if by_contact == (self.profile_id is not None):
            raise ValueError("required")
        return self


class Match(BaseModel):
    """The person, if there is one. `alias_of` is the profile that this one was merged into."""

    profile_id: UUID | None
    contact_keys: list[str]
    alias_of: UUID | None = None


class SegmentName(BaseModel):
    """What people call a segment."""

    name: str


@router.get("/segments/{segment_id}", responses=_PROBLEMS)
async def segment_name(
    segment_id: UUID, segments: SegmentsOfRequest, _caller: InternalCaller
) -> SegmentName:
    """For pages of other services, which know a segment by its id."""
    return SegmentName(name=(await segments.show(segment_id)).name)


@router.get("/segments/{segment_id}/members", responses=_PROBLEMS)
async def members(
    segment_id: UUID,
    segments: SegmentsOfRequest,
    _caller: InternalCaller,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 2000,
) -> CountedMembers:
    """A page of profile ids; the last one says how many there are altogether."""
    return await segments.counted_members(segment_id, after, limit)


@router.get("/freshness", responses=_PROBLEMS)
async def freshness(service: ProfileOfRequest, _caller: InternalCaller) -> Freshness:
    """How far what others know of profiles may be behind."""
    state = await service.database.read(outbox.state)
    age = 0.0
    if state.oldest is not None:
        age = max(0.0, (service.ground.clock.now() - state.oldest).total_seconds())
    return Freshness(oldest_unpublished_seconds=age)


@router.post("/profiles/match", responses=_PROBLEMS)
async def match(query: MatchQuery, service: ProfileOfRequest, _caller: InternalCaller) -> Match:
    """Which person a reported contact is. Nobody: `profile_id` is null."""
    key = None
    if query.channel is not None and query.address is not None:
        asked = ContactQuery(channel=query.channel, address=query.address, account=query.account)
        try:
            key = People(service.database, service.ground.contact_keys).key_of(asked)
        except Invalid:
            return Match(profile_id=None, contact_keys=[])

    def work(session: Session) -> Match:
        profile_id = query.profile_id
        if key is not None:
            profile_id = repository.owner(session, key)
        if profile_id is None or not repository.exists(session, profile_id):
            return Match(profile_id=None, contact_keys=[])
        keys = repository.contact_keys(session, profile_id)
        return Match(profile_id=profile_id, contact_keys=keys)

    return await service.database.read(work)

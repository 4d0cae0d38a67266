"""`/v1/profiles`: people are found by contact, shown and listed."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator

from services.profile.paging import PAGE, After, Limit
from services.profile.people.repository import Filter
from services.profile.people.schemas import ContactQuery, PersonList, PersonState, Timeline
from services.profile.people.service import People
from services.profile.segments.rules import printable
from services.profile.state import ProfileOfRequest
from services.shared.auth.access import ReadCaller
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import PROBLEMS, problems

router = APIRouter(prefix="/v1/profiles", tags=["profiles"], route_class=StrictRoute)

_READ = problems(401, 403, 404, 422, 503)

Word = Annotated[str | None, Query(min_length=1, max_length=128), AfterValidator(printable)]


def _people(service: ProfileOfRequest) -> People:
    return People(service.database, service.ground.contact_keys)


PeopleOfRequest = Annotated[People, Depends(_people)]


@router.post(
    "/lookup", summary="Find a person by contact", operation_id="lookup_profile", responses=PROBLEMS
)
async def look_up(query: ContactQuery, people: PeopleOfRequest, _caller: ReadCaller) -> PersonState:
    """The contact is read as people type it: case, spaces and national phone numbers do not matter."""
    return await people.look_up(query)


@router.get(
    "", summary="List people", operation_id="list_profiles", responses=problems(401, 403, 422, 503)
)
async def list_people(
    people: PeopleOfRequest,
    _caller: ReadCaller,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
    limit: Limit = PAGE,
    tag: Word = None,
    bait: Word = None,
) -> PersonList:
    """Who came last stands first. `tag` and `bait` (a slug) narrow the list."""
    return await people.page(Filter(tag, bait), after, limit)


# not any word, so that GET of /lookup is another method of that path, not a person
@router.get("/{profile_id:uuid}", summary="A person", operation_id="get_profile", responses=_READ)
async def get_person(profile_id: UUID, people: PeopleOfRequest, _caller: ReadCaller) -> PersonState:
    """Contacts, values with their sources, tags, consents with their proofs."""
    return await people.show(profile_id)


@router.get(
    "/{profile_id}/timeline",
    summary="What happened with a person",
    operation_id="get_profile_timeline",
    responses=_READ,
)
async def get_timeline(
    profile_id: UUID,
    people: PeopleOfRequest,
    _caller: ReadCaller,
    after: After = None,
    limit: Limit = PAGE,
) -> Timeline:
    """Leads, messages and what the person did, newest first."""
    return await people.timeline(profile_id, after, limit)

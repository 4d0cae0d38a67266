"""`/people`: the list of people, one person, everybody as CSV."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from sqlmodel import Session
from starlette.responses import RedirectResponse, Response, StreamingResponse

from services.profile.base import Row
from services.profile.pages import export, search
from services.profile.pages.sentences import CHANNELS, PURPOSES, sentence
from services.profile.people import repository
from services.profile.people.repository import Filter
from services.profile.people.service import People, person_state, timeline_page
from services.profile.state import ProfileOfRequest, ProfileService
from services.shared.auth.keys import Caller
from services.shared.web.pages import OperatorPage, PageRoute

router = APIRouter(prefix="/people", route_class=PageRoute, include_in_schema=False)

_PAGE = 30
_TIMELINE = 40
_TYPED = 254

Chosen = Annotated[str | None, Query(max_length=128)]


@router.get("")
async def people_page(
    request: Request,
    service: ProfileOfRequest,
    caller: OperatorPage,
    tag: Chosen = None,
    bait: Chosen = None,
    after: UUID | None = None,
) -> Response:
    """The list, by tag and bait."""
    chosen = Filter(_word(tag), _word(bait))
    return await _list(request, service, caller, chosen, after=after)


@router.post("")
async def find_person(
    request: Request, service: ProfileOfRequest, caller: OperatorPage
) -> Response:
    """Look for a contact. It stands in the body, so that no address gets into a URL."""
    form = await request.form(max_files=0, max_fields=10)
    typed = form.get("contact")
    typed = typed.strip()[:_TYPED] if isinstance(typed, str) else ""
    ground = service.ground
    found = await search.find(ground.database, ground.contact_keys, typed) if typed else None
    if found is not None:
        return RedirectResponse(f"/people/{found}", status_code=303)
    return await _list(request, service, caller, Filter(), missed=typed)


@router.get("/export.csv")
async def export_page(service: ProfileOfRequest, _caller: OperatorPage) -> Response:
    """Everybody, for a spreadsheet."""
    return StreamingResponse(
        export.lines(service.database),
        media_type="text/csv; charset=utf-8",
        headers={
            "content-disposition": 'attachment; filename="people.csv"',
            "cache-control": "no-store",
        },
    )


@router.get("/{profile_id}")
async def person_page(
    request: Request,
    profile_id: UUID,
    service: ProfileOfRequest,
    caller: OperatorPage,
    after: Annotated[str | None, Query(max_length=80)] = None,
) -> Response:
    """One person: contacts, consents with proof, values, tags, what happened."""

    def work(session: Session) -> Row:
        person = person_state(session, profile_id)
        timeline = timeline_page(session, profile_id, after, _TIMELINE)
        ids = {str(item.details.get("bait_id")) for item in timeline.items}
        baits = repository.bait_names(session, ids - {"None"})
        return {
            "person": person,
            "timeline": [(item, sentence(item, baits)) for item in timeline.items],
            "older": timeline.next,
            "addresses": {c.contact_key: c.address for c in person.contacts},
        }

    context = await service.database.read(work)
    return service.pages.response(
        request, "person.html", caller=caller, channels=CHANNELS, purposes=PURPOSES, **context
    )


async def _list(
    request: Request,
    service: ProfileService,
    caller: Caller,
    chosen: Filter,
    *,
    after: UUID | None = None,
    missed: str | None = None,
) -> Response:
    people = await People(service.database, service.ground.contact_keys).page(chosen, after, _PAGE)
    tags, baits = await service.database.read(
        lambda s: (repository.words(s, "tag"), repository.words(s, "bait"))
    )
    context: dict[str, Any] = {
        "people": people.items,
        "next": _link(chosen, people.next) if people.next else None,
        "first_page": after is None,
        "chosen": chosen,
        "tags": tags,
        "baits": baits,
        "missed": missed,
    }
    return service.pages.response(
        request, "people.html", caller=caller, channels=CHANNELS, **context
    )


def _link(chosen: Filter, after: UUID) -> str:
    asked = {"tag": chosen.tag, "bait": chosen.bait, "after": str(after)}
    return "/people?" + urlencode({name: value for name, value in asked.items() if value})


def _word(text: str | None) -> str | None:
    return text if text and text.isprintable() else None

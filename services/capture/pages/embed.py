"""`/embed.js`, the script that draws a form in place, and the form that it draws."""

import gzip
import hashlib
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import BaitShelf
from services.capture.baits.schemas import Slug
from services.capture.baits.service import Delivery
from services.capture.leads.cors import ANY
from services.capture.pages.form_view import FormView, form_view
from services.capture.views.counter import ViewCounter
from services.shared.clock import Clock
from services.shared.errors import Problem
from services.shared.web.body import StrictRoute
from services.shared.web.languages import language_of
from services.shared.web.openapi import problems
from services.shared.web.problems import problem_response

_SCRIPT = Path(__file__).parent / "static" / "embed.js"


class EmbedScript:
    """The script, in memory in both forms."""

    def __init__(self) -> None:
        self._plain = _SCRIPT.read_bytes()
        self._packed = gzip.compress(self._plain, 9, mtime=0)
        self._tag = f'"{hashlib.sha256(self._plain).hexdigest()[:16]}"'

    def routes(self) -> list[BaseRoute]:
        """What the app serves."""
        return [Route("/embed.js", self.get, methods=["GET"])]

    async def get(self, request: Request) -> Response:
        """The script; the same for everybody, without a cookie."""
        headers = {
            **ANY,
            "etag": self._tag,
            "cache-control": "public, max-age=300",
            "cross-origin-resource-policy": "cross-origin",
            "vary": "Accept-Encoding",
        }
        if self._tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        body = self._plain
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = self._packed
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type="text/javascript; charset=utf-8")


class FormSource:
    """What the form endpoint needs."""

    def __init__(
        self, shelf: BaitShelf, delivery: Delivery, views: ViewCounter, clock: Clock
    ) -> None:
        self._shelf = shelf
        self._delivery = delivery
        self._views = views
        self._clock = clock

    async def view(self, slug: str, request: Request) -> FormView:
        """The form of a bait, counted as drawn. Raises `BaitOver` or `BaitNotOpen`."""
        bait = await self._shelf.find(slug)
        bait.require_open(self._clock.now())
        self._views.drawn(bait, request.headers.get("user-agent", ""))
        mailed = self._delivery.way(bait.document.contacts[0], bait.document) == "mail"
        return form_view(bait, bait.form, language_of(request), mailed=mailed)


router = APIRouter(prefix="/v1/baits", tags=["forms"], route_class=StrictRoute)


@router.get(
    "/{slug}/form",
    summary="The form of a bait",
    operation_id="get_form",
    response_model=FormView,
    responses=problems(404, 410, 422, 503),
)
async def get_form(
    slug: Slug,
    request: Request,
    response: Response,
    lang: Annotated[str | None, Query(max_length=35, description="The visitor's language.")] = None,  # noqa: ARG001  # read with the request
) -> FormView | Response:
    """Public: what a script needs to draw it. Fetching it counts as displayed."""
    response.headers.update({**ANY, "cache-control": "no-store"})
    source: FormSource = request.app.state.service.forms
    try:
        return await source.view(slug, request)
    except Problem as problem:
        refused = problem_response(request, problem)
        refused.headers.update(ANY)  # the script says on its page what is wrong
        return refused

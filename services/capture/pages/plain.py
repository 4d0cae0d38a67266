"""`POST /f/{slug}`: a plain HTML form on any site."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import BaitShelf, LiveBait
from services.capture.leads.cors import Origins
from services.capture.leads.thanks_tokens import Thanks
from services.capture.pages.drawing import PRIVATE, Drawing
from services.capture.pages.taking import FormTaker, Taken
from services.shared.errors import Invalid, Problem
from services.shared.web.problems import problem_response


class PlainForms:
    """Forms that stand on other sites."""

    def __init__(
        self,
        shelf: BaitShelf,
        taker: FormTaker,
        drawing: Drawing,
        origins: Origins,
        thanks: Thanks,
    ) -> None:
        self._shelf = shelf
        self._taker = taker
        self._drawing = drawing
        self._origins = origins
        self._thanks = thanks

    def routes(self) -> list[BaseRoute]:
        """What the app serves."""
        return [Route("/f/{slug}", self.post, methods=["POST"])]

    async def post(self, request: Request) -> Response:
        """303 to the thanks page or to an allowed address; 422 with the form, or as JSON when asked."""
        origin = request.headers.get("origin")
        if not _wants_json(request):
            bait = await self._shelf.find(request.path_params["slug"])
            self._origins.require(bait, origin, null=True)
            return self._page(request, bait, await self._taker.take(request, bait, "form"))
        bait_headers = {}
        try:
            bait = await self._shelf.find(request.path_params["slug"])
            bait_headers = dict(self._origins.headers(bait, origin))
            self._origins.require(bait, origin, null=True)
            taken = await self._taker.take(request, bait, "form")
            if taken.accepted is None:
                raise Invalid(fields=taken.wrong)
        except Problem as problem:
            response = problem_response(request, problem)
            response.headers.update(bait_headers)
            return response
        return Response(
            taken.accepted.text, 202, headers=bait_headers, media_type="application/json"
        )

    def _page(self, request: Request, bait: LiveBait, taken: Taken) -> Response:
        if taken.accepted is None:
            return self._drawing.form(
                request,
                bait,
                taken.form,
                action=f"/f/{bait.slug}",
                hidden=taken.posted.ours,
                typed=taken.posted.typed,
                wrong=taken.wrong,
            )
        target = taken.posted.ours.get("_next", "")
        if not target or not self._origins.may_go_to(bait, target):
            target = self._thanks.path(bait, taken.accepted.lead_id)
        return RedirectResponse(target, status_code=303, headers=dict(PRIVATE))


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "json" in accept and "text/html" not in accept

"""`/b/{slug}`: the hosted page of a bait, its thanks page, and its QR code."""

import functools
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import BaitShelf, LiveBait
from services.capture.files.service import Files
from services.capture.leads.after import LeadFile
from services.capture.leads.models import Lead
from services.capture.leads.submission import page_address
from services.capture.leads.thanks_tokens import Thanks
from services.capture.pages.drawing import PRIVATE, Drawing, with_language
from services.capture.pages.taking import FormTaker
from services.capture.resources.links import FileLinks
from services.capture.settings import CaptureSettings
from services.capture.views.counter import ViewCounter
from services.shared.errors import Malformed, NotFound
from services.shared.ground import Ground

_UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
_LONGEST_HIDDEN = 200


class HostedPages:
    """Pages of baits on our own host. They work without JavaScript."""

    def __init__(
        self,
        ground: Ground[CaptureSettings],
        shelf: BaitShelf,
        taker: FormTaker,
        drawing: Drawing,
        views: ViewCounter,
        after: "AfterParts",
    ) -> None:
        self._ground = ground
        self._shelf = shelf
        self._taker = taker
        self._drawing = drawing
        self._views = views
        self._after = after

    def routes(self) -> list[BaseRoute]:
        """What the app serves."""
        return [
            Route("/b/{slug}", self.draw, methods=["GET"]),
            Route("/b/{slug}", self.post, methods=["POST"]),
            Route("/b/{slug}/thanks", self.thanks, methods=["GET"]),
            Route("/b/{slug}/thanks", self.open, methods=["POST"]),
            Route("/b/{slug}/qr.svg", self.qr, methods=["GET"]),
        ]

    async def draw(self, request: Request) -> Response:
        """The page with the form."""
        bait = await self._shelf.find(request.path_params["slug"])
        bait.require_open(self._ground.clock.now())
        if request.method == "GET" and "prefetch" not in request.headers.get("sec-purpose", ""):
            self._views.drawn(bait, request.headers.get("user-agent", ""))
        return self._drawing.form(
            request,
            bait,
            bait.form,
            action=f"/b/{bait.slug}",
            hidden=self._hidden(request, bait),
        )

    def _hidden(self, request: Request, bait: LiveBait) -> dict[str, str]:
        """What the form carries beside what is typed."""
        carried = {
            "_version": str(bait.form.version),
            "_key": str(self._ground.ids.new()),
            "_landing": f"{self._ground.settings.public_url}/b/{bait.slug}",
        }
        referrer = page_address(request.headers.get("referer"))
        if referrer:
            carried["_referrer"] = referrer
        for name in _UTM:
            value = request.query_params.get(name)
            if value:
                carried[name] = value[:_LONGEST_HIDDEN]
        return carried

    async def post(self, request: Request) -> Response:
        """The form comes back."""
        bait = await self._shelf.find(request.path_params["slug"])
        bait.require_open(self._ground.clock.now())
        taken = await self._taker.take(request, bait, "page")
        if taken.accepted is None:
            return self._drawing.form(
                request,
                bait,
                taken.form,
                action=f"/b/{bait.slug}",
                hidden=taken.posted.ours,
                typed=taken.posted.typed,
                wrong=taken.wrong,
            )
        path = self._after.thanks.path(bait, taken.accepted.lead_id)
        chosen = request.query_params.get("lang")
        if chosen in ("zh", "zh-CN", "en"):
            path = f"{path}&lang={chosen}"
        return RedirectResponse(path, status_code=303, headers=dict(PRIVATE))

    async def thanks(self, request: Request) -> Response:
        """Thanks: where the resource is, and the button to it where the bait gives it here."""
        bait = await self._shelf.find(request.path_params["slug"])
        token = request.query_params.get("t", "")
        lead = await self._lead(bait, token)
        channel = lead.channel if lead is not None else bait.document.contacts[0]
        return self._drawing.page(
            request,
            "thanks.html",
            headers=PRIVATE,
            bait=bait.document,
            action=with_language(request, f"/b/{bait.slug}/thanks"),
            channel=channel,
            way=self._drawing.delivery.way(channel, bait.document) if lead else None,
            token=token if lead and self._gives(bait, lead) else None,
            carried=f"{urlencode({'t': token})}&" if token else "",
        )

    async def open(self, request: Request) -> Response:
        """The button on the thanks page: opens the resource, and verifies nobody."""
        bait = await self._shelf.find(request.path_params["slug"])
        token = await _posted_token(request)
        lead = await self._lead(bait, token)
        if lead is None or not self._gives(bait, lead):
            raise NotFound
        await self._after.leads.open(lead, verified=False)
        link = self._after.links.path(lead.id, self._ground.clock.now())
        return self._drawing.resource(request, bait, link, others=[])

    async def _lead(self, bait: LiveBait, token: str) -> Lead | None:
        """The lead of a thanks token, while its page is fresh and the lead is one of this bait."""
        lead_id = self._after.thanks.lead_id(token) if token else None
        if lead_id is None:
            return None
        try:
            lead = await self._after.leads.find(lead_id)
        except NotFound:
            return None
        fresh = self._after.thanks.is_fresh(lead, self._ground.clock.now())
        return lead if fresh and lead.bait_id == bait.id else None

    def _gives(self, bait: LiveBait, lead: Lead) -> bool:
        on_page = self._drawing.delivery.on_page(lead.channel, bait.document)
        return on_page and bait.document.resource is not None

    async def qr(self, request: Request) -> Response:
        """A QR code of the page; utm_* in the address are in the code."""
        bait = await self._shelf.find(request.path_params["slug"])
        carried = {
            name: request.query_params[name][:_LONGEST_HIDDEN]
            for name in _UTM
            if request.query_params.get(name)
        }
        address = f"{self._ground.settings.public_url}/b/{bait.slug}"
        if carried:
            address = f"{address}?{urlencode(carried)}"
        return Response(
            _qr(address),
            media_type="image/svg+xml",
            headers={
                "cache-control": "public, max-age=3600",
                "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            },
        )


class AfterParts:
    """What pages need once there is a lead."""

    def __init__(self, leads: LeadFile, thanks: Thanks, links: FileLinks, files: Files) -> None:
        self.leads = leads
        self.thanks = thanks
        self.links = links
        self.files = files


async def _posted_token(request: Request) -> str:
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise Malformed
    body = await request.body()
    name, _, token = body.partition(b"=")
    return token.decode("ascii", "replace")[:200] if name == b"t" else ""


@functools.lru_cache(maxsize=256)
def _qr(address: str) -> bytes:
    # imported here: needed when somebody asks for a code, not at the start
    import io

    import segno

    out = io.BytesIO()
    code: Any = segno.make(address, error="m", micro=False)
    code.save(out, kind="svg", scale=8, border=3, xmldecl=False, svgclass=None, lineclass=None)
    return out.getvalue()

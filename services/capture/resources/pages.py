"""`/r/{token}`: the page behind the link of a bait mail.

Mail gateways follow links: looking at the page changes nothing. The button verifies the contact, opens the
resource and counts.
"""

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.capture.baits.live import LiveBait
from services.capture.baits.schemas import FileResource
from services.capture.baits.service import Baits
from services.capture.files.download import download
from services.capture.leads.after import LeadAndOthers
from services.capture.leads.models import Lead
from services.capture.pages.drawing import PRIVATE, Drawing, with_language
from services.capture.pages.hosted import AfterParts
from services.capture.resources.links import LinkOver
from services.capture.settings import CaptureSettings
from services.shared.errors import NotFound
from services.shared.ground import Ground


class ResourcePages:
    """The pages behind signed links."""

    def __init__(
        self, ground: Ground[CaptureSettings], baits: Baits, drawing: Drawing, after: AfterParts
    ) -> None:
        self._ground = ground
        self._baits = baits
        self._drawing = drawing
        self._after = after

    def routes(self) -> list[BaseRoute]:
        """What the app serves."""
        return [
            Route("/r/{token}", self.look, methods=["GET"]),
            Route("/r/{token}", self.open, methods=["POST"]),
            Route("/r/{token}/file", self.file, methods=["GET"]),
        ]

    async def look(self, request: Request) -> Response:
        """The page with the button."""
        found, baits = await self._find(request.path_params["token"])
        bait = baits[found.lead.bait_id]
        return self._drawing.page(
            request,
            "resource.html",
            headers=PRIVATE,
            bait=bait.document,
            others=self._offered(request, found, baits),
        )

    async def open(self, request: Request) -> Response:
        """The button: this person has the contact, and has opened the resource."""
        found, baits = await self._find(request.path_params["token"])
        await self._after.leads.open(found.lead, verified=True)
        link = self._after.links.path(found.lead.id, self._ground.clock.now())
        others = self._offered(request, found, baits)
        return self._drawing.resource(request, baits[found.lead.bait_id], link, others=others)

    async def file(self, request: Request) -> Response:
        """The file, by the short-lived link that the button gave."""
        now = self._ground.clock.now()
        lead = await self._after.leads.find(
            self._after.links.lead_id(request.path_params["token"], now)
        )
        self._require_valid(lead)
        bait = (await self._baits.by_ids([lead.bait_id])).get(lead.bait_id)
        given = bait.document.resource if bait is not None else None
        if not isinstance(given, FileResource):
            raise NotFound
        pieces = self._after.files.read(given.sha256)
        return download(pieces, given.name, given.media_type, given.size)

    async def _find(self, token: str) -> tuple[LeadAndOthers, dict[UUID, LiveBait]]:
        """The lead of a token with the baits that matter. Raises `BadToken`, `LinkOver`."""
        lead_id, _ = self._ground.tokens.verify("r", token)
        found = await self._after.leads.with_others(lead_id)
        self._require_valid(found.lead)
        ids = [found.lead.bait_id, *(other.bait_id for other in found.others)]
        baits = await self._baits.by_ids(ids)
        if found.lead.bait_id not in baits:
            raise NotFound
        return found, baits

    def _require_valid(self, lead: Lead) -> None:
        if lead.revoked_at is not None or lead.expires_at <= self._ground.clock.now():
            raise LinkOver(
                (
                    "这个链接已过期或被撤回。您可以在原页面重新提交一次。",
                    "This link has expired or was revoked. You may ask for it again.",
                )
            )

    def _offered(
        self, request: Request, found: LeadAndOthers, baits: dict[UUID, LiveBait]
    ) -> list[tuple[str, str]]:
        """What else this contact asked for: (address, title)."""
        sign = self._ground.tokens.sign
        return [
            (
                with_language(request, f"/r/{sign('r', other.id)}"),
                baits[other.bait_id].document.title,
            )
            for other in found.others
            if other.bait_id in baits and baits[other.bait_id].document.resource is not None
        ]

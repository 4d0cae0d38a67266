"""Capture on its ground."""

from dataclasses import dataclass

from services.capture import migrations
from services.capture.baits import endpoints as bait_endpoints
from services.capture.baits.live import BaitShelf
from services.capture.baits.seed import Seed
from services.capture.baits.service import Baits
from services.capture.files.service import MOST_BYTES, Files
from services.capture.leads import endpoints as lead_endpoints
from services.capture.leads.after import LeadFile
from services.capture.leads.cors import Origins
from services.capture.leads.gate import OutboxGate
from services.capture.leads.handlers import ProfileNews
from services.capture.leads.routes import LeadRoutes, describe
from services.capture.leads.service import LeadDesk
from services.capture.leads.thanks_tokens import Thanks
from services.capture.leads.tidy import Tidy
from services.capture.models import metadata
from services.capture.pages import embed
from services.capture.pages.describing import with_pages
from services.capture.pages.drawing import TEMPLATES, Drawing
from services.capture.pages.embed import EmbedScript, FormSource
from services.capture.pages.hosted import AfterParts, HostedPages
from services.capture.pages.plain import PlainForms
from services.capture.pages.taking import FormTaker
from services.capture.resources.links import FileLinks
from services.capture.resources.pages import ResourcePages
from services.capture.settings import CaptureSettings
from services.capture.views.counter import ViewCounter
from services.shared.app import DEFAULT_LIMIT, Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind
from services.shared.runner.supervisor import BackgroundTask
from services.shared.web.client_address import networks
from services.shared.web.pages import Pages

_UPLOAD_LIMIT = MOST_BYTES + 1024 * 1024  # the file, and what multipart puts around it


@dataclass(frozen=True)
class Capture:
    """What capture's endpoints reach as `request.app.state.service`."""

    baits: Baits
    shelf: BaitShelf
    files: Files
    desk: LeadDesk
    leads: LeadFile
    forms: FormSource
    views: ViewCounter
    seed: Seed
    tidy: Tidy
    gate: OutboxGate


def build(ground: Ground[CaptureSettings]) -> Service:
    """What capture contributes to its app."""
    state = _state(ground)
    thanks = Thanks(ground.tokens)
    origins = Origins(ground.settings.public_url)
    pages = Pages(TEMPLATES, zone=ground.settings.zone)
    drawing = Drawing(pages, state.baits.delivery)
    after = AfterParts(state.leads, thanks, FileLinks(ground.tokens), state.files)
    trusted = networks(ground.settings.trusted_proxies)
    taker = FormTaker(state.desk, state.shelf, ground.contact_keys, ground.registry, trusted)
    leads = LeadRoutes(
        state.desk, state.shelf, origins, ground.contact_keys, thanks, state.baits.delivery, trusted
    )
    return Service(
        name="capture",
        state=state,
        routes=[
            *leads.routes(),
            *HostedPages(ground, state.shelf, taker, drawing, state.views, after).routes(),
            *PlainForms(state.shelf, taker, drawing, origins, thanks).routes(),
            *ResourcePages(ground, state.baits, drawing, after).routes(),
            *EmbedScript().routes(),
        ],
        routers=[bait_endpoints.router, embed.router, lead_endpoints.router],
        consumer=ProfileNews(ground.clock).spec,
        tasks=[
            BackgroundTask("sample bait", state.seed.run),
            BackgroundTask("outbox gate", state.gate.run),
            BackgroundTask("views", state.views.run),
            BackgroundTask("tidy leads", state.tidy.run),
        ],
        closers=[state.views.flush],
        hot=leads,
        limit=_limit,
        openapi=lambda document: with_pages(describe(document)),
    )


def _state(ground: Ground[CaptureSettings]) -> Capture:
    shelf = BaitShelf(ground.database, ground.clock, ground.contact_keys)
    baits = Baits(ground, shelf)
    files = Files(ground.database, ground.clock)
    views = ViewCounter(ground)
    gate = OutboxGate(ground.database, ground.clock, ground.settings.outbox_limit, ground.traffic)
    return Capture(
        baits=baits,
        shelf=shelf,
        files=files,
        desk=LeadDesk(ground, shelf, gate),
        leads=LeadFile(ground),
        forms=FormSource(shelf, baits.delivery, views, ground.clock),
        views=views,
        seed=Seed(ground),
        tidy=Tidy(ground.database, ground.clock, files),
        gate=gate,
    )


def _limit(path: str) -> int:
    uploads = path.startswith("/v1/baits/") and path.endswith("/resource")
    return _UPLOAD_LIMIT if uploads else DEFAULT_LIMIT


KIND = ServiceKind("capture", CaptureSettings, metadata, migrations, build)

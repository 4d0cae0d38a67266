"""Push on its ground."""

from dataclasses import dataclass

from services.push import migrations
from services.push.beside import aside_of
from services.push.campaigns import endpoints as campaign_endpoints
from services.push.campaigns import repository as campaigns
from services.push.campaigns.planner import Planner
from services.push.campaigns.service import CampaignDesk
from services.push.channels.opening import uses_local_mail
from services.push.deliveries import endpoints as delivery_endpoints
from services.push.deliveries.desk import DeliveryDesk
from services.push.mailbox import endpoints as mailbox_endpoints
from services.push.models import metadata
from services.push.pages import campaigns as campaign_pages
from services.push.reach import endpoints as reach_endpoints
from services.push.reach import handlers as reach
from services.push.requests import endpoints as request_endpoints
from services.push.requests import handlers as requests
from services.push.requests.service import RequestDesk
from services.push.sending import CONSUMER, CampaignSeams, assemble
from services.push.settings import PushSettings
from services.push.templates import endpoints as template_endpoints
from services.push.templates.content import ContentStore
from services.push.templates.service import TemplateDesk
from services.shared.app import DEFAULT_LIMIT, Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind
from services.shared.runner.consumer import ConsumerSpec
from services.shared.runner.supervisor import BackgroundTask
from services.shared.web.pages import Pages


@dataclass(frozen=True)
class Push:
    """What push's endpoints reach as `request.app.state.service`."""

    deliveries: DeliveryDesk
    requests: RequestDesk
    templates: TemplateDesk
    campaigns: CampaignDesk
    local_mail: bool


TEMPLATE_LIMIT = 2 * 1024 * 1024
"""Bytes of a template with its parts in both languages."""


def body_limit(path: str) -> int:
    """The most bytes that a request to a path may bring."""
    return TEMPLATE_LIMIT if path.startswith("/v1/templates") else DEFAULT_LIMIT


def build(ground: Ground[PushSettings]) -> Service:
    """What push contributes to its app."""
    settings, clock, database = ground.settings, ground.clock, ground.database
    store = ContentStore(clock.monotonic)
    seams = CampaignSeams(store, campaigns.pause_by_system, campaigns.names)
    sending = assemble(ground, seams)
    state = Push(
        deliveries=sending.desk,
        requests=RequestDesk(database, clock, ground.ids, ground.contact_keys),
        templates=TemplateDesk(
            database, clock, ground.ids, store, ground.contact_keys, settings.public_url
        ),
        campaigns=CampaignDesk(database, clock, ground.ids, ground.neighbours),
        local_mail=sending.opened.local_mail,
    )
    desk = sending.desk
    planner = Planner(state.campaigns, doubt=desk.wall_clock.closed, closed=desk.freshness.closed)
    pages = Pages(mailbox_endpoints.TEMPLATES, zone=settings.zone)
    return Service(
        name="push",
        state=state,
        routers=(
            delivery_endpoints.router,
            request_endpoints.router,
            template_endpoints.router,
            campaign_endpoints.router,
            reach_endpoints.router,
            *mailbox_endpoints.routers(pages),
            campaign_pages.router(settings.zone),
        ),
        consumer=ConsumerSpec(
            CONSUMER,
            (*reach.TOPICS, *requests.TOPICS),
            {**reach.handlers(clock), **requests.handlers(clock, ground.ids)},
        ),
        tasks=sending.tasks,
        aside=aside_of(sending, BackgroundTask("planner", planner.run)),
        closers=sending.opened.closers,
        limit=body_limit,
    )


def runs_aside(settings: PushSettings) -> bool:
    """Whether sending may keep the process from answering people: not where mail stays on this machine."""
    return settings.sender_process and not uses_local_mail(settings)


KIND = ServiceKind("push", PushSettings, metadata, migrations, build, runs_aside)

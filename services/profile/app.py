"""Profile on its ground."""

from services.profile import migrations
from services.profile.consent.endpoints import router as consents
from services.profile.internal.endpoints import router as internal
from services.profile.leads.handlers import consumer
from services.profile.leads.intake import Intake
from services.profile.leads.upkeep import Upkeep
from services.profile.models import metadata
from services.profile.pages.endpoints import router as pages
from services.profile.people.endpoints import router as people
from services.profile.segments.endpoints import router as segments
from services.profile.settings import ProfileSettings
from services.profile.state import service_for
from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind
from services.shared.runner.supervisor import BackgroundTask


def build(ground: Ground[ProfileSettings]) -> Service:
    """What profile contributes to its app."""
    intake = Intake(ground.clock)
    upkeep = Upkeep(ground.database, ground.clock, ground.ids, intake)
    state = service_for(ground)
    return Service(
        name="profile",
        state=state,
        routers=(people, consents, segments, internal, pages),
        consumer=consumer(intake),
        tasks=(BackgroundTask("upkeep", upkeep.run),),
    )


KIND = ServiceKind("profile", ProfileSettings, metadata, migrations, build)

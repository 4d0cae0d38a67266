"""Profile on its ground."""

from services.profile import migrations
from services.profile.models import metadata
from services.profile.settings import ProfileSettings
from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind


def build(ground: Ground[ProfileSettings]) -> Service:
    """What profile contributes to its app."""
    return Service(name="profile", state=ground)


KIND = ServiceKind("profile", ProfileSettings, metadata, migrations, build)

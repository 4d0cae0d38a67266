"""Push on its ground."""

from services.push import migrations
from services.push.models import metadata
from services.push.settings import PushSettings
from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind


def build(ground: Ground[PushSettings]) -> Service:
    """What push contributes to its app."""
    return Service(name="push", state=ground)


KIND = ServiceKind("push", PushSettings, metadata, migrations, build)

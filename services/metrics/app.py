"""Metrics on its ground."""

from services.metrics import migrations
from services.metrics.models import metadata
from services.metrics.settings import MetricsSettings
from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind


def build(ground: Ground[MetricsSettings]) -> Service:
    """What metrics contributes to its app."""
    return Service(name="metrics", state=ground)


KIND = ServiceKind("metrics", MetricsSettings, metadata, migrations, build)

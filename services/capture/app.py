"""Capture on its ground."""

from services.capture import migrations
from services.capture.models import metadata
from services.capture.settings import CaptureSettings
from services.shared.app import Service
from services.shared.ground import Ground
from services.shared.process.kinds import ServiceKind


def build(ground: Ground[CaptureSettings]) -> Service:
    """What capture contributes to its app."""
    return Service(name="capture", state=ground)


KIND = ServiceKind("capture", CaptureSettings, metadata, migrations, build)

"""The settings of capture."""

from services.shared.settings import Settings


class CaptureSettings(Settings):
    """What only capture is told."""

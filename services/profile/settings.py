"""The settings of profile."""

from services.shared.settings import Settings


class ProfileSettings(Settings):
    """What only profile is told."""

"""The settings of capture."""

from datetime import timedelta
from typing import Any

from pydantic import Field, field_validator

from services.shared.settings import Settings, Words, split_words


class CaptureSettings(Settings):
    """What only capture is told."""

    connected_channels: Words = ("email",)
    """Kinds of contact that push can send to; others get their resource on the thanks page."""
    link_seconds: int = Field(default=30 * 86_400, ge=60)
    """How long the link in a bait mail works."""

    @field_validator("connected_channels", mode="before")
    @classmethod
    def _split_channels(cls, value: Any) -> Any:
        return split_words(value)

    @property
    def link_span(self) -> timedelta:
        return timedelta(seconds=self.link_seconds)

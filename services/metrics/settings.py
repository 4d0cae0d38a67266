"""The settings of metrics."""

from typing import Any

from pydantic import Field, field_validator

from services.shared.settings import Settings, Words, split_words


class MetricsSettings(Settings):
    """What only metrics is told. Durations are seconds."""

    link_hosts: Words = ()
    """Hosts whose links get a person token (`bw`) when they are clicked."""

    early_seconds: float = Field(default=3.0, ge=0, le=600)
    """Clicks and opens so soon after sending are a machine's: no person is that quick."""

    click_window_seconds: float = Field(default=1.0, ge=0, le=1)
    """How long a click waits for its fellows before it is classed and counted."""

    @field_validator("link_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return split_words(value)

"""The settings of metrics."""

from typing import Any

from pydantic import field_validator

from services.shared.settings import Settings, Words, split_words


class MetricsSettings(Settings):
    """What only metrics is told."""

    link_hosts: Words = ()
    """Hosts whose links get a person token (`bw`) when they are clicked."""

    @field_validator("link_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return split_words(value)

"""The settings of push."""

from datetime import time, timedelta
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from services.shared.settings import Settings, Words, split_words


class PushSettings(Settings):
    """What only push is told."""

    mail: Literal["smtp", "local"] | None = None
    smtp_url: SecretStr | None = None
    mail_from: str = "Baitwell <hello@baitwell.example>"
    dkim_keys: SecretStr | None = None
    channels: Words = ()
    sender_process: bool = True
    mail_lanes: int = Field(default=10, ge=1, le=500)
    quiet_start: time = time(21, 0)
    quiet_end: time = time(8, 0)
    cap_day: int = Field(default=2, ge=0)
    cap_week: int = Field(default=4, ge=0)
    trace_days: int = Field(default=90, ge=0, le=36_500)
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    webhook_allowed_hosts: Words = ()

    @property
    def trace_kept(self) -> timedelta | None:
        """How long decisions on a delivery stay readable; None: for good."""
        return timedelta(days=self.trace_days) if self.trace_days else None

    @field_validator("channels", "webhook_allowed_hosts", mode="before")
    @classmethod
    def _split_own(cls, value: Any) -> Any:
        return split_words(value)

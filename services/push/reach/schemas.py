"""What the internal call carries."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class UnsubscribeIn(BaseModel):
    """Somebody has left: a contact, named by its key or by a delivery to it."""

    model_config = ConfigDict(extra="forbid")

    contact_key: str | None = Field(default=None, min_length=1, max_length=64)
    delivery_id: UUID | None = None
    at: datetime

    @field_validator("at")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("invalid")
        return value

    @model_validator(mode="after")
    def _named(self) -> "UnsubscribeIn":
        if self.contact_key is None and self.delivery_id is None:
            raise ValueError("required")
        return self


class UnsubscribeOut(BaseModel):
    """Whether push knows the contact. From now on it gets no marketing."""

    known: bool

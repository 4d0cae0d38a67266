"""What a request by API asks for."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from services.shared.contact import Channel


class ToIn(BaseModel):
    """An address."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel = Channel.EMAIL
    account: str = Field(default="", max_length=64)
    address: str = Field(min_length=1, max_length=254)


class MessageIn(BaseModel):
    """One message to one person: a known profile, or a contact.

    `cause_id` is the caller's own name for the reason: the same one again sends nothing.
    """

    model_config = ConfigDict(extra="forbid")

    cause_id: str = Field(min_length=1, max_length=100)
    template_id: UUID
    profile_id: UUID | None = None
    contact: ToIn | None = None
    language: str | None = Field(
        default=None, max_length=16, pattern=r"^[A-Za-z]{2}(-[A-Za-z0-9]{1,8})*$"
    )
    values: dict[str, str | int | float | bool] = Field(default_factory=dict, max_length=50)

    @field_validator("cause_id")
    @classmethod
    def _printable(cls, value: str) -> str:
        if not value.isprintable():
            raise ValueError("forbidden_characters")
        return value

    @field_validator("values")
    @classmethod
    def _short(cls, value: dict[str, Any]) -> dict[str, Any]:
        if any(len(name) > 64 or len(str(item)) > 2000 for name, item in value.items()):
            raise ValueError("too_long")
        return value

    @model_validator(mode="after")
    def _one(self) -> "MessageIn":
        if (self.profile_id is None) == (self.contact is None):
            raise ValueError("required")
        return self


class MessageOut(BaseModel):
    """The delivery that stands for the request; `new` false: this cause had it already."""

    delivery_id: UUID
    new: bool

"""What a report says, and the answer to it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
)

from services.shared.contact import Channel

Word = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]

MOST_REPORTS = 1000


def _only_text(value: Any) -> Any:
    """A moment is written as text; a bare number could be seconds or milliseconds."""
    if isinstance(value, str) and not value.replace(".", "").lstrip("+-").isdigit():
        return value
    raise ValueError("not_date")


class ReportedContact(BaseModel):
    """The person's contact, as the shop has it. Only its keyed hash is kept."""

    model_config = ConfigDict(extra="forbid")

    channel: Channel
    address: str = Field(min_length=1, max_length=254)
    account: str = Field(default="", max_length=64)


class Report(BaseModel):
    """An inquiry, an order, a refund, or a person who left. It names the person in one way at least."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "kind": "converted",
                "source": "shop",
                "order_id": "2026-1042",
                "amount": 19900,
                "currency": "CNY",
                "contact": {"channel": "email", "address": "ann@customers.example"},
            }
        },
    )

    kind: Literal["inquired", "converted", "unsubscribed"]
    source: Word = Field(description="Who reports it: a shop, a call centre.")
    order_id: Word | None = Field(
        default=None,
        description="The order's or ticket's number: the same kind, number and source counts once.",
    )
    state: Literal["paid", "refunded"] = Field(
        default="paid", description="Of an order; `refunded` takes it back."
    )
    amount: int | None = Field(
        default=None, ge=0, le=10**15, strict=True, description="In minor units."
    )
    currency: str | None = Field(default=None, min_length=3, max_length=3, description="ISO 4217.")
    subject: str | None = Field(default=None, max_length=500, description="Of an inquiry.")
    at: Annotated[AwareDatetime, BeforeValidator(_only_text)] | None = Field(
        default=None, description="When it happened; else now."
    )
    bw: str | None = Field(
        default=None, max_length=100, description="The token that a tracked link added as `bw`."
    )
    contact: ReportedContact | None = None
    profile_id: UUID | None = None


REPORTS: TypeAdapter[list[Report]] = TypeAdapter(
    Annotated[list[Report], Field(min_length=1, max_length=MOST_REPORTS)]
)
REPORT: TypeAdapter[Report] = TypeAdapter(Report)


class Taken(BaseModel):
    """One report that is durable. `known`: it was reported before and counts once."""

    engagement_id: UUID
    state: Literal["accepted", "known"]


class Receipt(BaseModel):
    """All reports of a request, in its order."""

    items: list[Taken]

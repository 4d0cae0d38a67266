"""The funnel as it is reported."""

from pydantic import BaseModel, Field


class Stage(BaseModel):
    """One stage. `rate` is a share of distinct subjects of the stage that the view begins with."""

    total: int = Field(description="Events of people, without what was taken back or corrected.")
    counted: int = Field(description="Events as the Prometheus series counts them; it never falls.")
    distinct: int = Field(description="Distinct deliveries, or leads, that came to the stage.")
    rate: float | None = Field(description="0 to 1; null where there is nothing to compare with.")
    machine: int = Field(description="Events of machines, counted apart.")
    machine_reasons: dict[str, int]


class Money(BaseModel):
    """Minor units of one currency."""

    currency: str
    paid: int
    refunded: int
    net: int


class Funnel(BaseModel):
    """Stages in their order, and what stands beside them."""

    stages: dict[str, Stage]
    beside: dict[str, int]
    dropped_reasons: dict[str, int]
    mail: dict[str, Stage] | None = Field(
        default=None, description="Of baits: the mails that brought the resource."
    )
    money: list[Money]


class FunnelItem(BaseModel):
    """One bait, campaign, channel or day."""

    key: str
    label: str
    bait: Funnel | None = None
    campaign: Funnel | None = None
    other: Funnel | None = Field(default=None, description="Messages of no campaign and no bait.")


class Unattributed(BaseModel):
    """Reports of people whom nobody knows yet."""

    inquired: int
    converted: int
    money: list[Money]


class FunnelReport(BaseModel):
    """The funnel, exact. `all` sums over everything that was asked for, not over this page."""

    by: str
    timezone: str
    rule: str
    all: FunnelItem
    unattributed: Unattributed
    items: list[FunnelItem]
    next: str | None

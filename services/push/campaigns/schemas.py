"""What callers say about campaigns and what they are told."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.push.campaigns.models import Campaign, CampaignRun
from services.push.templates.schemas import Name
from services.push.templates.spec import TemplateChannel


def _near(value: datetime) -> datetime:
    if not 2000 <= value.year <= 2200:
        raise ValueError("out_of_range")
    return value.astimezone(UTC)


When = Annotated[AwareDatetime, AfterValidator(_near)]


class CampaignIn(BaseModel):
    """A campaign's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    segment_id: UUID
    template_id: UUID
    channel: TemplateChannel | None = Field(
        default=None, description="The template's channel; another one is refused."
    )
    start_at: When | None = Field(default=None, description="When a scheduled campaign starts.")
    until: When | None = Field(default=None, description="What was not sent by then is dropped.")
    priority: Annotated[int, Field(ge=1, le=9, strict=True)] = Field(
        default=5, description="1 goes before all others, 9 after."
    )
    capped: bool = Field(
        default=True, strict=True, description="Whether the frequency cap applies."
    )

    @model_validator(mode="after")
    def _in_order(self) -> "CampaignIn":
        if self.until and self.start_at and self.until <= self.start_at:
            raise ValueError("out_of_range")
        return self


class RunOut(BaseModel):
    """How far the planning of a campaign's run is."""

    id: UUID
    number: int
    template_version_id: UUID
    planning_complete: bool
    members: int = Field(description="Members of the segment seen so far.")


class CampaignOut(BaseModel):
    """A campaign. `version` is its ETag."""

    id: UUID
    version: int
    name: str
    segment_id: UUID
    template_id: UUID
    channel: str
    start_at: datetime | None
    until: datetime | None
    priority: int
    capped: bool
    state: str
    state_reason: str | None
    state_at: datetime
    state_by: str
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None
    run: RunOut | None = None

    @classmethod
    def of(cls, campaign: Campaign, run: CampaignRun | None) -> "CampaignOut":
        out = cls(**{n: getattr(campaign, n) for n in cls.model_fields if n != "run"})
        if run is not None:
            out.run = RunOut(
                id=run.id,
                number=run.number,
                template_version_id=run.template_version_id,
                planning_complete=run.complete,
                members=run.members,
            )
        return out


class CampaignList(BaseModel):
    """A page of campaigns, newest first."""

    items: list[CampaignOut]
    next: str | None


class StateCount(BaseModel):
    """How many deliveries are in a state for a reason. `until`: when the first of those held is asked again."""

    state: str
    reason: str | None
    count: int
    until: datetime | None = None


class CountsOut(BaseModel):
    """Where a campaign's members are. Every one seen is a delivery or skipped, with the reason."""

    campaign_id: UUID
    state: str
    planning_complete: bool
    members: int
    deliveries: list[StateCount]
    skipped: dict[str, int]
    at: datetime = Field(description="When it was counted; up to 2 s ago.")

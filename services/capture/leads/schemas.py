"""The body of a submission by JSON, and what is said of a lead."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints

from services.capture.baits.schemas import FormChannel, LanguageTag
from services.capture.forms.encoding import MOST_FIELDS

SourceText = Annotated[str, StringConstraints(max_length=4_000)]


class LeadSource(BaseModel):
    """Where the visitor came from. Addresses are kept without query and fragment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    utm_source: SourceText | None = None
    utm_medium: SourceText | None = None
    utm_campaign: SourceText | None = None
    utm_term: SourceText | None = None
    utm_content: SourceText | None = None
    referrer: SourceText | None = None
    landing_page: SourceText | None = None


class LeadBody(BaseModel):
    """A contact left for a bait."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "contact": {"email": "li.na@example.com"},
                    "fields": {"company": "Example Ltd."},
                    "consents": {"marketing.email": True},
                    "source": {"utm_source": "newsletter"},
                }
            ]
        },
    )

    contact: dict[FormChannel, StrictStr] = Field(
        description="The address by kind of contact.", max_length=4
    )
    fields: dict[StrictStr, Any] = Field(
        default_factory=dict, max_length=MOST_FIELDS, description="Values of the bait's fields."
    )
    consents: dict[StrictStr, StrictBool] = Field(
        default_factory=dict,
        max_length=MOST_FIELDS,
        description="`purpose.channel` → whether the person agreed to the text shown.",
    )
    source: LeadSource | None = None
    language: LanguageTag | None = Field(default=None, description="What the visitor reads.")
    form_version: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="The version of the form that was shown."
    )
    way: Literal["api", "script"] = "api"


class LeadAccepted(BaseModel):
    """The lead is durable."""

    lead_id: str
    state: Literal["accepted"]
    resource: Literal["mail", "thanks_page", "kept_only"] | None = Field(
        default=None, description="Way `script` only: how the visitor gets the resource."
    )
    thanks: str | None = Field(
        default=None, description="Way `script` only: the page that gives it, where one does."
    )


class LeadState(BaseModel):
    """What became of a lead; no address."""

    lead_id: str
    bait_id: str
    form_version: int
    channel: str
    accepted_at: datetime
    expires_at: datetime
    verified_at: datetime | None
    opened_at: datetime | None
    revoked_at: datetime | None
    profile_id: str | None

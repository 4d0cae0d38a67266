"""What the consent endpoint takes and gives."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from services.profile.people.schemas import ConsentProof, ConsentState
from services.shared.contact import Channel


def _line(text: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError("required")
    if not text.isprintable():
        raise ValueError("forbidden_characters")
    return text


Line = AfterValidator(_line)


def _in_reach(moment: datetime) -> datetime:
    if not 2000 <= moment.year <= 2100:
        raise ValueError("out_of_range")
    return moment


class NewSaying(BaseModel):
    """What a person said, as an operator heard or holds it.

    `provenance` says how it is known (a signed form, a call, a contract): it is the proof, and for a
    consent that is given it stands on the contact in place of a verification.
    """

    model_config = ConfigDict(extra="forbid")

    purpose: Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[a-z][a-z0-9_]*$")] = (
        "marketing"
    )
    channel: Channel
    given: Annotated[bool, Field(strict=True)]
    provenance: Annotated[str, Field(min_length=1, max_length=500), Line]
    contact_key: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        default=None, description="One contact of the person; otherwise all of the channel."
    )
    text_version: Annotated[str, Field(max_length=128), AfterValidator(str.strip)] = ""
    at: Annotated[AwareDatetime, AfterValidator(_in_reach)] | None = Field(
        default=None, description="When it was said; otherwise now."
    )


class Recorded(BaseModel):
    """The entry that was made, and what holds now."""

    entry: ConsentProof
    consents: list[ConsentState]

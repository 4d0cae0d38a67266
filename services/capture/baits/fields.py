"""What a form asks beside the contact: declared, typed fields, and consents."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    field_validator,
    model_validator,
)

from services.capture.baits.texts import ConsentWords, Title, Word
from services.shared.contact import Channel

FieldKind = Literal["text", "integer", "number", "date", "boolean", "choice", "multi_choice"]

_RESERVED = frozenset(
    {*(channel.value for channel in Channel), "contact", "fields", "consents", "source", "lang"}
)
MOST_INTEGER = 2**53 - 1  # what every JSON reader keeps exact


def _not_reserved(name: str) -> str:
    if name in _RESERVED or name.startswith("utm_"):
        raise ValueError("taken")
    return name


FieldName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$", max_length=64),
    AfterValidator(_not_reserved),
]


class Choice(BaseModel):
    """One option: the value that is kept and the words that are shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: Word
    label: Title


class FieldDeclaration(BaseModel):
    """A field of a form. Its name has one type in all baits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: FieldName
    label: Title
    type: FieldKind = "text"
    required: StrictBool = False
    lines: StrictBool = Field(default=False, description="Text only: more than one line.")
    longest: int = Field(default=200, ge=1, le=5_000, description="Text only: most characters.")
    least: float | None = Field(default=None, description="Integer and number: the least value.")
    most: float | None = Field(default=None, description="Integer and number: the greatest value.")
    choices: tuple[Choice, ...] = Field(default=(), max_length=100)

    @field_validator("choices")
    @classmethod
    def _once(cls, value: Sequence[Choice]) -> Sequence[Choice]:
        if len({choice.value for choice in value}) != len(value):
            raise ValueError("repeated_field")
        return value

    @model_validator(mode="after")
    def _choices_where_due(self) -> "FieldDeclaration":
        if (self.type in ("choice", "multi_choice")) != bool(self.choices):
            raise ValueError("not_choice")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError("out_of_range")
        return self


class ConsentText(BaseModel):
    """What a person is asked to agree to, per purpose and channel. The version names the text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    channel: Literal["email", "phone", "wechat_id", "qq", "wechat", "qq_bot"]
    text: ConsentWords
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$")]
    required: StrictBool = Field(
        default=False, description="Never for the purpose 'marketing': a bait asks no price."
    )

    @property
    def name(self) -> str:
        """The consent's name in forms and bodies."""
        return f"{self.purpose}.{self.channel}"

    @model_validator(mode="after")
    def _marketing_is_free(self) -> "ConsentText":
        if self.required and self.purpose == "marketing":
            raise ValueError("invalid")
        return self

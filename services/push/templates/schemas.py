"""What callers say about templates and what they are told."""

import keyword
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from services.push.templates.models import Template, TemplateVersion
from services.push.templates.spec import Source, TemplateChannel, TemplateKind, TemplateSpec
from services.push.templates.syntax import MAX_BYTES
from services.push.templates.variables import (
    UNSUBSCRIBE,
    Variable,
    VariableType,
    default_of,
    is_fit,
)
from services.shared.reasons import Language

_RESERVED = {UNSUBSCRIBE, "true", "false", "none", "defined", "loop", "self", "caller"}


def _fit(value: str) -> str:
    if not is_fit(value):
        raise ValueError("forbidden_characters")
    return value


def _one_line(value: str) -> str:
    if any(ord(letter) < 32 for letter in value):
        raise ValueError("forbidden_characters")
    if not value.strip():
        raise ValueError("required")
    return _fit(value.strip())


def _free_name(value: str) -> str:
    if value in _RESERVED or keyword.iskeyword(value):
        raise ValueError("taken")
    return value


Name = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_one_line)]
VariableName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$", max_length=40),
    AfterValidator(_free_name),
]
Scalar = StrictStr | StrictBool | StrictInt | StrictFloat


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class VariableIn(_Strict):
    """A variable that the content may use."""

    name: VariableName
    type: VariableType = "text"
    default: Scalar | None = Field(
        default=None, description="Used for people without a value; without it they get no message."
    )
    field: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="The profile's field that the value comes from."
    )

    @model_validator(mode="after")
    def _default_fits(self) -> "VariableIn":
        variable = Variable(self.name, self.type, self.default, self.field)
        if self.default is not None and default_of(variable) is None:
            raise ValueError("wrong_type")
        return self


class ContentIn(_Strict):
    """The content in one language."""

    subject: Annotated[str, StringConstraints(min_length=1, max_length=400)]
    text: Annotated[str, StringConstraints(max_length=MAX_BYTES)] | None = Field(
        default=None, description="The plain text; without it one is made of the HTML."
    )
    html: Annotated[str, StringConstraints(max_length=MAX_BYTES)] | None = None


class TemplateEdit(_Strict):
    """A whole new version."""

    name: Name
    kind: TemplateKind = "marketing"
    variables: tuple[VariableIn, ...] = Field(default=(), max_length=50)
    default_language: Language | None = Field(
        default=None,
        description="For people whose language has no content; zh-CN, or the first content's.",
    )
    contents: dict[Language, ContentIn] = Field(
        min_length=1, description="By language. A variable is written `{{ name }}`."
    )

    @field_validator("contents")
    @classmethod
    def _has_default(
        cls, contents: dict[Language, ContentIn], info: ValidationInfo
    ) -> dict[Language, ContentIn]:
        wanted = info.data.get("default_language")
        if wanted is not None and wanted not in contents:
            raise ValueError("required")
        return contents

    @model_validator(mode="after")
    def _whole(self) -> "TemplateEdit":
        names = [variable.name for variable in self.variables]
        if len(set(names)) != len(names):
            raise ValueError("repeated_field")
        return self

    def spec(self, channel: TemplateChannel) -> TemplateSpec:
        """As the compiler takes it."""
        return TemplateSpec(
            channel,
            self.kind,
            tuple(Variable(v.name, v.type, v.default, v.field) for v in self.variables),
            self._default(),
            {
                language: Source(content.subject, content.text, content.html)
                for language, content in self.contents.items()
            },
        )

    def _default(self) -> Language:
        if self.default_language is not None:
            return self.default_language
        return "zh-CN" if "zh-CN" in self.contents else next(iter(self.contents))


class TemplateIn(TemplateEdit):
    """A new template."""

    channel: TemplateChannel = "email"


class TemplateSummary(BaseModel):
    """A template in a list."""

    id: UUID
    name: str
    channel: str
    kind: str
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, template: Template) -> "TemplateSummary":
        return cls.model_validate(template, from_attributes=True)


class TemplateList(BaseModel):
    """A page of templates, newest first."""

    items: list[TemplateSummary]
    next: str | None


class TemplateOut(TemplateSummary):
    """A template with one of its versions."""

    version_id: UUID
    variables: list[dict[str, Any]]
    default_language: str
    contents: dict[str, dict[str, Any]]
    version_created_at: datetime
    version_created_by: str

    @classmethod
    def whole(cls, template: Template, version: TemplateVersion) -> "TemplateOut":
        document = version.document
        summary = TemplateSummary.of(template).model_dump()
        return cls(
            **{**summary, "kind": document["kind"], "version": version.number},
            version_id=version.id,
            variables=document["variables"],
            default_language=document["default_language"],
            contents=document["contents"],
            version_created_at=version.created_at,
            version_created_by=version.created_by,
        )


class PreviewIn(_Strict):
    """Whose message is wanted: a person's, with other values instead where given."""

    profile_id: UUID | None = None
    values: dict[VariableName, Scalar] = Field(default_factory=dict, max_length=50)
    language: Language | None = None


class PreviewOut(BaseModel):
    """A message as it would be sent, with plain links."""

    language: str
    subject: str
    text: str
    html: str | None
    links: list[str] = Field(description="The targets that are tracked, by link number.")


class TrialIn(PreviewIn):
    """Where a test is to be sent. What has no value gets its default or a sample."""

    address: Annotated[str, StringConstraints(min_length=3, max_length=254)]


class TrialOut(BaseModel):
    """The delivery of a test."""

    delivery_id: UUID

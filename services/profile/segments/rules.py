"""The rule of a segment: what a person writes, checked for form, size and depth."""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from services.shared.contact import Channel

MAX_DEPTH = 8
MAX_CONDITIONS = 60

EngagementKind = Literal["opened", "displayed", "clicked", "inquired", "converted", "unsubscribed"]


def printable(text: str) -> str:
    """The text, if it holds no control characters; for validators."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
        raise ValueError("forbidden_characters")
    return text


def _iso_date(text: str) -> str:
    if not is_iso_date(text):
        raise ValueError("not_date")
    return text


def is_iso_date(text: str) -> bool:
    """Whether it is a date as it is stored: YYYY-MM-DD, so that the order of texts is that of days."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


Word = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(printable)]
Text = Annotated[str, Field(max_length=200), AfterValidator(printable)]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Whole = Annotated[int, Field(ge=-(10**15), le=10**15)]
Value = Annotated[bool, Field(strict=True)] | Whole | Number | Text
Bound = Whole | Number | Annotated[str, Field(max_length=10), AfterValidator(_iso_date)]
Days = Annotated[int, Field(strict=True, ge=1, le=3650)]


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldRule(_Condition):
    """The newest value of a field. Several comparisons all have to hold. Texts are compared without case.

    A multiple choice `is` a word when that word is among those chosen.
    """

    field: Word
    is_: Value | None = Field(default=None, alias="is")
    in_: tuple[Value, ...] | None = Field(default=None, alias="in", min_length=1, max_length=100)
    contains: Annotated[Text, Field(min_length=1)] | None = None
    at_least: Bound | None = None
    at_most: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None
    known: Literal[True] | None = None

    @model_validator(mode="after")
    def _compares(self) -> "FieldRule":
        if not self.comparisons():
            raise ValueError("required")
        return self

    def comparisons(self) -> dict[str, Any]:
        """The comparisons that are asked for, by name."""
        names = ("is_", "in_", "contains", "at_least", "at_most", "above", "below", "known")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class TagRule(_Condition):
    """The person has a tag."""

    tag: Word


class BaitRule(_Condition):
    """The person left a lead for the bait with this slug."""

    bait: Word


class ContactRule(_Condition):
    """The person has a contact of this channel, verified or not if that is said."""

    contact: Channel
    verified: Annotated[bool, Field(strict=True)] | None = None


class VerifiedRule(_Condition):
    """Some contact of the person is verified (or none is)."""

    verified: Annotated[bool, Field(strict=True)]


class ConsentRule(_Condition):
    """The person has given (or withdrawn) a consent, on one channel or on any."""

    consent: Word
    channel: Channel | None = None
    given: Annotated[bool, Field(strict=True)] = True


class EngagementRule(_Condition):
    """The person did something, ever or within so many days. What machines did does not count."""

    engagement: EngagementKind
    within_days: Days | None = None
    bait: UUID | None = None
    campaign: UUID | None = None


class CreatedRule(_Condition):
    """The profile is at most so many days old."""

    created_within_days: Days


class LeadsRule(_Condition):
    """The person left at least so many leads."""

    leads_at_least: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


class LanguageRule(_Condition):
    """The person's language."""

    language: Word


_Inner = Annotated[
    "Rule",
    WithJsonSchema(
        {
            "type": "object",
            "title": "Rule",
            "description": "A rule of any kind, as `rule` itself (8 levels, 60 conditions at most).",
        }
    ),
]
"""A rule in a rule. Documented without recursion: tools that generate examples do not end on it."""


class AllRule(_Condition):
    """All of these hold."""

    all: tuple[_Inner, ...] = Field(min_length=1, max_length=MAX_CONDITIONS)


class AnyRule(_Condition):
    """At least one of these holds."""

    any: tuple[_Inner, ...] = Field(min_length=1, max_length=MAX_CONDITIONS)


class NotRule(_Condition):
    """This does not hold."""

    not_: _Inner = Field(alias="not")


_KEYS = (
    "all",
    "any",
    "not",
    "field",
    "tag",
    "contact",
    "consent",
    "engagement",
    "bait",
    "created_within_days",
    "leads_at_least",
    "language",
    "verified",
)


def _kind(value: Any) -> str | None:
    """Which condition it is: told by its leading key."""
    if isinstance(value, dict):
        return next((key for key in _KEYS if key in value), None)
    fields = getattr(type(value), "model_fields", {})
    return next((key for key in _KEYS if key in fields or f"{key}_" in fields), None)


def _named(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    """Check a rule; what is wrong is named as the rule has it: by its keys, those that no rule has among them."""
    if isinstance(value, dict) and _kind(value) is None:
        wrong = [_error("extra_forbidden", (str(key),), None) for key in value]
        raise _errors(wrong or [_error("missing", (), None)])
    try:
        return check(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        # the first step is the kind, which the rule does not say; a list is not too short for what is wrong in it
        steps = [item["loc"][1:] for item in found]
        told = [
            _error(item["type"], place, item.get("ctx"))
            for item, place in zip(found, steps, strict=True)
            if not any(len(other) > len(place) and other[: len(place)] == place for other in steps)
        ]
        raise _errors(told) from error


def _error(kind: str, place: tuple[int | str, ...], context: Any) -> InitErrorDetails:
    details = InitErrorDetails(type=kind, loc=place, input=None)
    return details if context is None else {**details, "ctx": context}


def _errors(found: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("rule", found)


Rule = Annotated[
    Annotated[AllRule, Tag("all")]
    | Annotated[AnyRule, Tag("any")]
    | Annotated[NotRule, Tag("not")]
    | Annotated[FieldRule, Tag("field")]
    | Annotated[TagRule, Tag("tag")]
    | Annotated[ContactRule, Tag("contact")]
    | Annotated[ConsentRule, Tag("consent")]
    | Annotated[EngagementRule, Tag("engagement")]
    | Annotated[BaitRule, Tag("bait")]
    | Annotated[CreatedRule, Tag("created_within_days")]
    | Annotated[LeadsRule, Tag("leads_at_least")]
    | Annotated[LanguageRule, Tag("language")]
    | Annotated[VerifiedRule, Tag("verified")],
    Discriminator(_kind),
    WrapValidator(_named),
]

for _model in (AllRule, AnyRule, NotRule):
    _model.model_rebuild()


def _bounded(value: Any) -> Any:
    """Refuse what is too deep or too large before anything walks through it recursively."""
    level, count = [value], 0
    for depth in range(MAX_DEPTH + 1):
        level = [item for item in level if isinstance(item, dict)]
        count += len(level)
        if not level:
            return value
        if count > MAX_CONDITIONS or depth == MAX_DEPTH:
            raise ValueError("too_large_rule")
        level = [inner for item in level for inner in _inner(item)]
    return value


def _inner(item: dict[str, Any]) -> Iterator[Any]:
    for key in ("all", "any"):
        if isinstance(item.get(key), list):
            yield from item[key]
    if "not" in item:
        yield item["not"]


CheckedRule = Annotated[Rule, BeforeValidator(_bounded)]
"""A rule as it comes from outside."""


def conditions(rule: Any) -> Iterator[Any]:
    """All conditions of a rule that hold no others."""
    if isinstance(rule, AllRule):
        for inner in rule.all:
            yield from conditions(inner)
    elif isinstance(rule, AnyRule):
        for inner in rule.any:
            yield from conditions(inner)
    elif isinstance(rule, NotRule):
        yield from conditions(rule.not_)
    else:
        yield rule

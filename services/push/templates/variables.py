"""Declared variables: typed values for one person, from the profile's fields or given by a caller."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

VariableType = Literal["text", "number", "date", "boolean"]
Value = str | int | float | date | bool

UNSUBSCRIBE = "unsubscribe_url"
"""The one name that every marketing template may use without declaring it."""

MAX_VALUE = 2000
"""The most characters of one value that are written into a message."""

# noncharacters mark holes while a template is compiled; controls never belong in a message
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable. `field` is the profile's field it comes from; None: only given values."""

    name: str
    type: VariableType
    default: str | int | float | bool | None = None
    field: str | None = None


_WORDS = {"true": True, "false": False}


def fit(text: str) -> str:
    """The text without characters that no message can hold, cut to the longest value."""
    return _UNFIT.sub("", text[:MAX_VALUE]) if text else text


def is_fit(text: str) -> bool:
    """Whether a text holds no character that is kept from messages."""
    return _UNFIT.search(text) is None


def values_of(
    variables: Sequence[Variable], fields: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> dict[str, Value]:
    """The typed values by variable name. What is missing, empty or of another type has no entry."""
    values: dict[str, Value] = {}
    for variable in variables:
        raw = given.get(variable.name) if given else None
        if raw is None and variable.field is not None:
            raw = fields.get(variable.field)
        value = typed(variable.type, raw)
        if value is None:
            value = default_of(variable)
        if value is not None:
            values[variable.name] = value
    return values


def typed(kind: VariableType, raw: Any) -> Value | None:
    """A raw value as its declared type; None when it is absent or does not fit."""
    if raw is None or raw == "":
        return None
    if kind == "text":
        return _text(raw)
    if kind == "boolean":
        return raw if isinstance(raw, bool) else _WORDS.get(str(raw).lower())
    if kind == "date":
        return _date(raw)
    return _number(raw)


def default_of(variable: Variable) -> Value | None:
    """The value for people who have none; an empty text is one, too. None: they get no message."""
    if variable.type == "text" and variable.default == "":
        return ""
    return typed(variable.type, variable.default)


def plain(value: Value) -> str:
    """A value as text from which `typed` makes the same value again."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def _text(raw: Any) -> str | None:
    if isinstance(raw, str):
        return fit(raw).strip() or None
    if isinstance(raw, bool) or not isinstance(raw, int | float | date):
        return None
    return str(raw)


def _date(raw: Any) -> date | None:
    if isinstance(raw, datetime):
        return raw.date()
    if isinstance(raw, date):
        return raw
    if not isinstance(raw, str):
        return None
    try:
        return date.fromisoformat(raw[:10])
    except ValueError:
        return None


def _number(raw: Any) -> int | float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, str):
        try:
            raw = float(raw[:40])
        except ValueError:
            return None
    if isinstance(raw, int):
        return raw if abs(raw) < 10**15 else None
    if isinstance(raw, float) and abs(raw) < 1e15:  # not nan, not infinite
        return int(raw) if raw.is_integer() else raw
    return None


def shown(value: Any, language: str) -> str:
    """How a value is written for a reader of `language`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        words = ("是", "否") if language.startswith("zh") else ("yes", "no")
        return words[0] if value else words[1]
    if isinstance(value, date):
        return dated(value, language)
    return str(value)


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def dated(value: date, language: str) -> str:
    """A date as it is written in `language`."""
    if language.startswith("zh"):
        return f"{value.year}年{value.month}月{value.day}日"
    return f"{value.day} {_MONTHS[value.month - 1]} {value.year}"

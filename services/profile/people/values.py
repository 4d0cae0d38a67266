"""How a field's value is compared: folded text, or a number."""

import math
from typing import Any

from services.profile.people.models import COMPARED

SEPARATOR = "\x1f"
"""Stands around each chosen option of a multiple choice in its compared text."""

_NUMBERS = frozenset({"integer", "number"})


def folded(text: str) -> str:
    """The form in which texts are compared: without case, cut to `COMPARED` characters."""
    return text.casefold()[:COMPARED]


def comparable(kind: str, value: Any) -> tuple[str | None, float | None]:
    """The compared text and number of a value of a declared type; both None when it has neither."""
    if isinstance(value, bool):
        return None, float(value)
    if isinstance(value, int | float):
        return None, as_number(value)
    if isinstance(value, list | tuple):
        words = SEPARATOR.join(str(word).casefold() for word in value)
        return f"{SEPARATOR}{words}{SEPARATOR}"[:COMPARED], None
    if isinstance(value, str):
        if kind in _NUMBERS:
            return None, as_number(value)
        return folded(value), None
    return None, None


def as_number(value: str | int | float) -> float | None:
    """A finite number, or None."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

"""Values of declared fields: what was typed or sent, checked and brought to its type."""

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from services.capture.baits.fields import MOST_INTEGER, FieldDeclaration
from services.capture.text import BadText, plain

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?\Z")
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?\Z")
_YES = frozenset({"on", "true", "1", "yes", "是"})
_NO = frozenset({"off", "false", "0", "no", "否"})

BadValue = BadText
"""The value can't be taken; `reason` says why."""

ABSENT: tuple[Any, ...] = (None, "", [], ())


def read_value(declaration: FieldDeclaration, raw: Any) -> Any:
    """The value of a field from JSON or from a form; None when it was left empty.

    Raises `BadValue`.
    """
    if raw in ABSENT:
        if declaration.required:
            raise BadValue("required")
        return None
    value = _READERS[declaration.type](declaration, raw)
    if declaration.required and value in ABSENT:
        raise BadValue("required")
    return None if value in ABSENT else value


def _text(declaration: FieldDeclaration, raw: Any) -> str:
    if not isinstance(raw, str):
        raise BadValue("not_text")
    return plain(raw, declaration.longest, lines=declaration.lines)


def _integer(declaration: FieldDeclaration, raw: Any) -> int | None:
    if isinstance(raw, str):
        typed = _typed(raw)
        if not typed:
            return None
        if not _INTEGER.match(typed):
            raise BadValue("not_integer")
        raw = int(typed)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise BadValue("not_integer")
    if abs(raw) > MOST_INTEGER:
        raise BadValue("out_of_range")
    _within(declaration, raw)
    return raw


def _number(declaration: FieldDeclaration, raw: Any) -> float | None:
    if isinstance(raw, str):
        typed = _typed(raw)
        if not typed:
            return None
        if not _NUMBER.match(typed):
            raise BadValue("not_number")
        raw = float(typed)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise BadValue("not_number")
    if isinstance(raw, int) and abs(raw) > MOST_INTEGER:
        raise BadValue("out_of_range")
    if not math.isfinite(raw):
        raise BadValue("not_number")
    _within(declaration, raw)
    return raw


def _date(_declaration: FieldDeclaration, raw: Any) -> str | None:
    if not isinstance(raw, str):
        raise BadValue("not_date")
    typed = _typed(raw)
    if not typed:
        return None
    found = _DATE.match(typed)
    if found is None:
        raise BadValue("not_date")
    try:
        return date(*(int(part) for part in found.groups())).isoformat()
    except ValueError:
        raise BadValue("not_date") from None


def _boolean(_declaration: FieldDeclaration, raw: Any) -> bool:
    found = yes_or_no(raw)
    if found is None:
        raise BadValue("not_boolean")
    return found


def _choice(declaration: FieldDeclaration, raw: Any) -> str:
    if not isinstance(raw, str) or not any(choice.value == raw for choice in declaration.choices):
        raise BadValue("not_choice")
    return raw


def _multi_choice(declaration: FieldDeclaration, raw: Any) -> list[str]:
    chosen = [raw] if isinstance(raw, str) else raw
    if not isinstance(chosen, list) or len(chosen) > len(declaration.choices):
        raise BadValue("not_choice")
    values = {choice.value for choice in declaration.choices}
    if not all(isinstance(item, str) and item in values for item in chosen):
        raise BadValue("not_choice")
    return [choice.value for choice in declaration.choices if choice.value in chosen]


def yes_or_no(raw: Any) -> bool | None:
    """What a box, a word or a JSON value says; None when it says neither."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        word = raw.strip().lower()
        if word in _YES:
            return True
        if word in _NO or not word:
            return False
    return None


def _typed(raw: str) -> str:
    """What somebody with a Chinese keyboard typed: full-width digits are digits."""
    return unicodedata.normalize("NFKC", plain(raw, 100)).strip()


def _within(declaration: FieldDeclaration, value: float) -> None:
    if declaration.least is not None and value < declaration.least:
        raise BadValue("out_of_range")
    if declaration.most is not None and value > declaration.most:
        raise BadValue("out_of_range")


_READERS: Mapping[str, Callable[[FieldDeclaration, Any], Any]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "date": _date,
    "boolean": _boolean,
    "choice": _choice,
    "multi_choice": _multi_choice,
}

"""Whether a rule's comparisons fit the types that its fields were declared with."""

from collections.abc import Mapping
from typing import Any

from services.profile.segments.rules import FieldRule, conditions, is_iso_date
from services.shared.errors import FieldError, Invalid

_ORDER = frozenset({"at_least", "at_most", "above", "below"})
_ALLOWED = {
    "text": frozenset({"is_", "in_", "contains", "known"}),
    "choice": frozenset({"is_", "in_", "contains", "known"}),
    "multi_choice": frozenset({"is_", "in_", "known"}),
    "boolean": frozenset({"is_", "known"}),
    "integer": frozenset({"is_", "in_", "known"}) | _ORDER,
    "number": frozenset({"is_", "in_", "known"}) | _ORDER,
    "date": frozenset({"is_", "in_", "known"}) | _ORDER,
}


def fields_of(rule: Any) -> set[str]:
    """The fields that a rule asks for."""
    return {each.field for each in conditions(rule) if isinstance(each, FieldRule)}


def check(rule: Any, types: Mapping[str, str]) -> None:
    """Raises `Invalid` where a comparison does not fit its field. Fields that nobody has met may be anything."""
    wrong = [
        FieldError(f"rule.{each.field}", reason)
        for each in conditions(rule)
        if isinstance(each, FieldRule)
        and (reason := _misfit(each, types.get(each.field))) is not None
    ]
    if wrong:
        raise Invalid(fields=tuple(wrong))


def _misfit(rule: FieldRule, kind: str | None) -> str | None:
    comparisons = rule.comparisons()
    allowed = _ALLOWED.get(kind or "")
    if allowed is not None and not allowed.issuperset(comparisons):
        return "wrong_comparison"
    for value in _values(comparisons):
        reason = _wrong_value(value, kind)
        if reason is not None:
            return reason
    return None


def _values(comparisons: Mapping[str, Any]) -> list[Any]:
    values: list[Any] = []
    for name, value in comparisons.items():
        if name == "in_":
            values += value
        elif name not in ("known", "contains"):
            values.append(value)
    return values


def _wrong_value(value: Any, kind: str | None) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind in ("integer", "number"):
        return None if number else "not_number"
    if kind == "boolean":
        return None if isinstance(value, bool) else "not_boolean"
    if kind == "date":
        return None if isinstance(value, str) and is_iso_date(value) else "not_date"
    if kind in ("text", "choice", "multi_choice"):
        return None if isinstance(value, str) else "not_text"
    return None

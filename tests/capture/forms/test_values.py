"""Values of declared fields."""

from typing import Any

import pytest

from services.capture.baits.fields import Choice, FieldDeclaration
from services.capture.forms.values import BadValue, read_value

COLOURS = (Choice(value="r", label="Red"), Choice(value="b", label="Blue"))


def declared(kind: str, **more: Any) -> FieldDeclaration:
    return FieldDeclaration(name="x", label="X", type=kind, **more)


@pytest.mark.parametrize(
    ("declaration", "raw", "value"),
    [
        (declared("text"), " Li ", "Li"),
        (declared("text"), "", None),
        (declared("text", lines=True), "a\r\nb", "a\nb"),
        (declared("integer"), "12", 12),
        (declared("integer"), "１２", 12),
        (declared("integer"), -3, -3),
        (declared("integer"), 7.0, 7),
        (declared("integer"), 0, 0),
        (declared("number"), "3.50", 3.5),
        (declared("number"), 2, 2),
        (declared("date"), "2026-02-28", "2026-02-28"),
        (declared("date"), "2026/2/8", "2026-02-08"),
        (declared("date"), "2026年2月8日", "2026-02-08"),
        (declared("boolean"), True, True),
        (declared("boolean"), "on", True),
        (declared("boolean"), "否", False),
        (declared("boolean"), False, False),
        (declared("choice", choices=COLOURS), "r", "r"),
        (declared("multi_choice", choices=COLOURS), ["b", "r"], ["r", "b"]),
        (declared("multi_choice", choices=COLOURS), "b", ["b"]),
        (declared("multi_choice", choices=COLOURS), [], None),
    ],
)
def test_a_value_is_brought_to_its_type(
    declaration: FieldDeclaration, raw: Any, value: Any
) -> None:
    found = read_value(declaration, raw)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("declaration", "raw", "reason"),
    [
        (declared("text", required=True), "", "required"),
        (declared("text", required=True), "   ", "required"),
        (declared("text", required=True), None, "required"),
        (declared("text"), 5, "not_text"),
        (declared("text"), {"a": 1}, "not_text"),
        (declared("text", longest=3), "four", "too_long"),
        (declared("text"), "a\nb", "forbidden_characters"),
        (declared("integer"), "1.5", "not_integer"),
        (declared("integer"), "1e3", "not_integer"),
        (declared("integer"), True, "not_integer"),
        (declared("integer"), 2**60, "out_of_range"),
        (declared("integer"), "9" * 18, "out_of_range"),
        (declared("integer", least=1, most=10), "11", "out_of_range"),
        (declared("number"), "1e999", "not_number"),
        (declared("number"), "NaN", "not_number"),
        (declared("number"), float("inf"), "not_number"),
        (declared("number", least=0), -0.5, "out_of_range"),
        (declared("date"), "2026-02-30", "not_date"),
        (declared("date"), "yesterday", "not_date"),
        (declared("date"), 20260208, "not_date"),
        (declared("boolean"), "perhaps", "not_boolean"),
        (declared("boolean"), 1, "not_boolean"),
        (declared("choice", choices=COLOURS), "g", "not_choice"),
        (declared("choice", choices=COLOURS), ["r"], "not_choice"),
        (declared("multi_choice", choices=COLOURS), ["r", "g"], "not_choice"),
        (declared("multi_choice", choices=COLOURS), [1], "not_choice"),
        (declared("multi_choice", choices=COLOURS), ["r"] * 50, "not_choice"),
    ],
)
def test_what_is_none_is_refused_with_its_reason(
    declaration: FieldDeclaration, raw: Any, reason: str
) -> None:
    with pytest.raises(BadValue) as refused:
        read_value(declaration, raw)
    assert refused.value.reason == reason

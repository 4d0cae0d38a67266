"""Errors as problem documents, in both languages."""

from collections.abc import Iterator

import pytest

from services.shared import errors
from services.shared.errors import DatabaseUnavailable, FieldError, Invalid, Problem
from services.shared.reasons import REASONS, sentence

STATUSES = {
    "Problem": 500,
    "Invalid": 422,
    "Malformed": 400,
    "Unauthenticated": 401,
    "Forbidden": 403,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "Conflict": 409,
    "InProgress": 409,
    "Gone": 410,
    "PreconditionFailed": 412,
    "PreconditionRequired": 428,
    "TooLarge": 413,
    "UnsupportedMedia": 415,
    "TooMany": 429,
    "Unavailable": 503,
    "DatabaseUnavailable": 503,
}


def kinds(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    if root.__module__ == errors.__name__:
        yield root
    for below in root.__subclasses__():
        yield from kinds(below)


def test_every_error_has_its_status() -> None:
    assert {kind.__name__: kind.status for kind in kinds()} == STATUSES


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_error_is_a_document_in_both_languages(kind: type[Problem]) -> None:
    problem = kind()
    chinese, english = problem.document("zh-CN"), problem.document("en", "urn:x")
    assert chinese["status"] == english["status"] == kind.status
    assert chinese["type"] == english["type"] == f"urn:baitwell:problem:{kind.code}"
    assert not chinese["title"].isascii()
    assert english["title"].isascii()
    assert english["instance"] == "urn:x"
    assert "detail" not in english


def test_codes_are_told_apart() -> None:
    codes = [kind.code for kind in kinds()]
    assert len(set(codes)) == len(codes)


def test_a_field_is_named_with_its_reason_in_the_readers_language() -> None:
    problem = Invalid(
        ("提交有误。", "Not valid."),
        fields=(FieldError("contacts.0", "not_email"), FieldError("age", "out_of_range", "0–150")),
    )
    english = problem.document("en")
    assert english["detail"] == "Not valid."
    assert english["errors"] == [
        {
            "field": "contacts.0",
            "reason": "not_email",
            "message": "This is not an e-mail address.",
        },
        {"field": "age", "reason": "out_of_range", "message": "This is out of range. 0–150"},
    ]
    assert problem.document("zh-CN")["errors"][0]["message"] == "请填写有效的邮箱地址。"


def test_an_outage_says_when_to_come_again() -> None:
    assert DatabaseUnavailable().retry_after == 2
    assert DatabaseUnavailable(retry_after=30).retry_after == 30


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_is_a_sentence_in_both_languages(reason: str) -> None:
    chinese, english = sentence(reason, "zh-CN"), sentence(reason, "en")
    assert reason.isidentifier()
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    assert chinese.endswith(("。", "！", "？"))
    assert not any("\u4e00" <= letter <= "\u9fff" for letter in english)
    assert english.endswith(".")


def test_a_reason_without_a_sentence_stays_readable() -> None:
    assert sentence("of_tomorrow", "en") == "of_tomorrow"

"""Strict JSON: anything that two readers could read differently is refused, and nothing of it is kept."""

import json
from typing import Any

import pytest

from services.shared.errors import Invalid, UnsupportedMedia
from services.shared.web.body import check_json_type, strict_json
from tests.shared.web.conftest import Small

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        ('{"名": "值 🎁"}'.encode(), {"名": "值 🎁"}),
        (rb'{"a": "\ud83c\udf81"}', {"a": "🎁"}),
        (rb'{"a": "\\u0000"}', {"a": "\\u0000"}),
        (b" 0 ", 0),
        (b"1e3", 1000.0),
        (b'{"": ""}', {"": ""}),
    ],
)
def test_what_is_json(text: bytes, value: Any) -> None:
    assert strict_json(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 1} {"b": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": 01}',
        b'{"a": "\x00"}',
        rb'{"a": "\u0000"}',
        rb'{"a\u0000": 1}',
        b'{"a": "\n"}',
        rb'{"a": "\ud83c"}',
        rb'{"a": ["\uDF81"]}',
        rb'{"\udf81": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        '{"a": 1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"a": 1, "a": 1}',
        b'{"b": {"a": 1, "a": 2}}',
        rb'{"a": 1, "\u0061": 2}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"9" * 5000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_not(text: bytes) -> None:
    with pytest.raises(Invalid) as told:
        strict_json(text)
    assert told.value.fields


def test_a_repeated_name_is_named() -> None:
    with pytest.raises(Invalid) as told:
        strict_json(b'{"a": 1, "b": 2, "a": 3}')
    assert told.value.fields[0].field == "a"
    assert told.value.fields[0].reason == "repeated_field"


@pytest.mark.parametrize(
    "kind", ["application/json", "application/JSON; charset=utf-8", "application/merge-patch+json"]
)
def test_types_that_are_json(kind: str) -> None:
    check_json_type(kind)


@pytest.mark.parametrize("kind", ["", "text/plain", "text/json", "application/x-json", "json"])
def test_types_that_are_not(kind: str) -> None:
    with pytest.raises(UnsupportedMedia):
        check_json_type(kind)


@pytest.mark.parametrize("path", ["/v1/notes", "/hot/x"])
async def test_a_good_body_arrives(small: Small, path: str) -> None:
    answer = await small.client.post(path, json={"name": "名", "number": 3})
    assert answer.is_success
    assert answer.json()["name"] == "名"


@pytest.mark.parametrize("path", ["/v1/notes", "/hot/x"])
@pytest.mark.parametrize(
    ("text", "field", "reason"),
    [
        ("{", "body", "invalid"),
        ('{"name": "a", "name": "b"}', "name", "repeated_field"),
        ('{"name": NaN}', "body", "invalid"),
        ('{"name": "a", "ratio": 1e999}', "body", "invalid"),
        ('{"name": "\\u0000"}', "body", "forbidden_characters"),
        ('{"name": "\\ud83c"}', "body", "forbidden_characters"),
        ("[" * 900, "body", "invalid"),
        ("{}", "name", "required"),
        ("[]", "body", "wrong_type"),
        ("null", "body", None),
        ('{"name": 1}', "name", "not_text"),
        ('{"name": "a", "other": 1}', "other", "unknown_field"),
        ('{"name": "aaaaaaaaaaaaaaaaaaaaaaaaaa"}', "name", "too_long"),
        ('{"name": "a", "number": -1}', "number", "out_of_range"),
        ('{"name": "a", "number": "x"}', "number", "not_integer"),
    ],
)
async def test_a_bad_body_is_refused_with_the_field_and_the_reason(
    small: Small, path: str, text: str, field: str, reason: str | None
) -> None:
    answer = await small.client.post(path, content=text, headers={**JSON, "accept-language": "en"})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    first = answer.json()["errors"][0]
    assert first["field"] == field
    if reason:
        assert first["reason"] == reason
        assert first["message"] != reason
    assert small.seen == []


@pytest.mark.parametrize("path", ["/v1/notes", "/hot/x"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
async def test_another_type_of_body_is_refused(small: Small, path: str, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = await small.client.post(path, content=b'{"name": "a"}', headers=headers)
    assert answer.status_code == 415
    assert small.seen == []


async def test_a_form_is_taken_where_a_form_is_asked_for(small: Small) -> None:
    answer = await small.client.post("/v1/forms", data={"name": "a"})
    assert answer.json() == {"name": "a"}


async def test_the_values_that_were_wrong_are_not_repeated(small: Small) -> None:
    body = json.dumps({"name": "li.na@example.com, who lives in a long street"})
    answer = await small.client.post("/v1/notes", content=body, headers=JSON)
    assert "li.na" not in answer.text

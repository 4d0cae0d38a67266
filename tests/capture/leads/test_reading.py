"""The quick way to read a body takes and refuses what the strict way takes and refuses."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.capture.leads.reading import read_lead
from services.capture.leads.schemas import LeadBody
from services.shared.errors import Invalid
from services.shared.web.body import strict_json

PLAIN: dict[str, Any] = {
    "contact": {"email": "li.na@shop.example"},
    "fields": {"company": '示例: "a"', "agree": True},
    "consents": {"marketing.email": True},
    "source": {"landing_page": "https://shop.example/a"},
    "language": "en",
}


def strictly(raw: bytes) -> LeadBody | None:
    try:
        return LeadBody.model_validate(strict_json(raw))
    except (Invalid, ValidationError):
        return None


def quickly(raw: bytes) -> LeadBody | None:
    try:
        return read_lead(raw)
    except Invalid:
        return None


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps(PLAIN).encode(),
        json.dumps(PLAIN, ensure_ascii=False, indent=2).encode(),
        json.dumps({**PLAIN, "fields": {"n": 1, "list": ["a", {"b": 1.5}]}}).encode(),
        json.dumps({**PLAIN, "extra": 1}).encode(),
        json.dumps({**PLAIN, "form_version": "1"}).encode(),
        b'{"contact":{"email":"a@b.example"},"contact":{"email":"c@d.example"}}',
        b'{"contact" :{"email":"a@b.example"},"contact":{"email":"c@d.example"}}',
        b'{"contact":{"email":"a@b.example","email"\n:"c@d.example"}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":"1","a":"2"}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":{"b":1,"b":2}}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":NaN}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":1e999}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":"\\u0000"}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":"\\ud800"}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":"\x00"}}',
        b'{"contact":{"email":"a@b.example"},"fields":{"a":"tab\there"}}',
        b'{"contact":{"email":"a@b.example"},"consents":{"m.email":1}}',
        b'{"contact":{"email":"a@b.example"},"source":{"referrer":"a","referrer":"b"}}',
        b'{"contact":{"email":7}}',
        b'{"contact":{"email":"\xff@b.example"}}',
        b'\xef\xbb\xbf{"contact":{"email":"a@b.example"}}',
        b'{"contact":{"email":"a@b.example"}} x',
        b'{"contact":{"email":"a@b.example"}',
        b"[]",
        b"",
        b"null",
        b'{"contact":{"email":"' + b"a" * 5000 + b'"}}',
    ],
)
def test_both_ways_agree(raw: bytes) -> None:
    assert quickly(raw) == strictly(raw)


def test_what_was_left_out_stays_left_out() -> None:
    body = read_lead(b'{"contact":{"email":"a@b.example"}}')
    assert body.model_fields_set == {"contact"}

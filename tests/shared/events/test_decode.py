"""What a reader does with records that are not as it expects."""

import pytest

from services.shared.events import BadRecord, Record, Tombstone, UnknownEvent, decode, tombstone
from services.shared.events.asyncapi import example_of
from services.shared.events.catalogue import CATALOGUE

GOOD = example_of(CATALOGUE[1])


def record(value: bytes | None, **headers: str | None) -> Record:
    merged = {**GOOD["headers"], **headers}
    kept = tuple((name, text) for name, text in merged.items() if text is not None)
    return Record("leads", 3, 7, "k", kept, value)


def test_no_value_is_a_tombstone_whatever_else_it_says() -> None:
    message = tombstone("profiles", "k")
    received = decode(Record("profiles", 0, 1, message.key, message.headers, message.value))
    assert received is not None
    assert isinstance(received.event, Tombstone)
    assert received.key == "k"


@pytest.mark.parametrize(
    "broken",
    [
        record(b"{}"),
        record(b"not json"),
        record(b"\xff\xfe"),
        record(b""),
        record(b'{"lead_id": 1}'),
        Record("leads", 0, 1, "k", (), b"{}"),
    ],
)
def test_what_cannot_be_read_is_the_records_fault(broken: Record) -> None:
    with pytest.raises(BadRecord) as told:
        decode(broken)
    assert "{" not in str(told.value), "the reason quotes no data"


@pytest.mark.parametrize("header", ["ce_id", "ce_time"])
@pytest.mark.parametrize("text", [None, "", "yesterday", "2026-03-02T04:05:06"])
def test_an_envelope_without_id_or_time_is_the_records_fault(header: str, text: str | None) -> None:
    import json

    with pytest.raises(BadRecord):
        decode(record(json.dumps(GOOD["data"]).encode(), **{header: text}))


def test_an_unknown_type_is_not_the_records_fault() -> None:
    with pytest.raises(UnknownEvent, match=r"baitwell\.lead\.verified\.v2"):
        decode(record(b"{}", ce_type="baitwell.lead.verified.v2"))


def test_what_replaces_something_unknown_is_unknown_too() -> None:
    with pytest.raises(UnknownEvent):
        decode(record(b"{}", ce_type="baitwell.x.v3", ce_replaces="baitwell.x.v2"))


def test_what_replaces_something_known_is_skipped() -> None:
    skipped = record(
        b"{}", ce_type="baitwell.lead.verified.v2", ce_replaces="baitwell.lead.verified.v1"
    )
    assert decode(skipped) is None


def test_a_scrubbed_record_is_skipped() -> None:
    assert decode(record(b"{}", scrubbed="1")) is None

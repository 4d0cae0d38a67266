"""Every event of every version has an example that this program reads, and is described for others."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.shared.events import CATALOGUE, TOPICS, Record, decode, encode
from services.shared.events.asyncapi import EXAMPLES, document, example_of, render_documents
from services.shared.events.catalogue import Entry

FILES = sorted(EXAMPLES.glob("*.json"))
BY_ID = [pytest.param(entry, id=entry.event.ce_type()) for entry in CATALOGUE]


def record_of(example: dict[str, Any]) -> Record:
    value = json.dumps(example["data"]).encode()
    return Record(example["topic"], 0, 1, example["key"], tuple(example["headers"].items()), value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_is_still_read(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    received = decode(record_of(example))
    if example["headers"]["ce_type"].startswith("baitwell.log.marker."):
        assert received is None
        return
    assert received is not None
    assert received.event.ce_type() == path.stem
    assert received.event.topic == example["topic"]
    assert str(received.id) == example["headers"]["ce_id"]
    assert received.key == example["key"]
    assert received.correlation_id == example["headers"]["ce_correlationid"]


def test_there_is_an_example_of_each_event_and_of_nothing_else() -> None:
    known = {entry.event.ce_type() for entry in CATALOGUE}
    newest = {path.stem for path in FILES}
    assert known <= newest
    older = newest - known
    assert {name.rpartition(".v")[0] for name in older} <= {
        name.rpartition(".v")[0] for name in known
    }


@pytest.mark.parametrize("entry", BY_ID)
def test_writing_and_reading_changes_nothing(entry: Entry) -> None:
    example = example_of(entry)
    event = entry.event.model_validate(example["data"])
    assert set(example["data"]) == set(entry.event.model_fields), "an example shows every field"
    assert json.loads(event.model_dump_json()) == example["data"]


@pytest.mark.parametrize("entry", BY_ID)
def test_a_field_of_tomorrow_is_ignored(entry: Entry) -> None:
    data = example_of(entry)["data"]
    event = entry.event.model_validate({**data, "of_tomorrow": {"x": 1}})
    assert event == entry.event.model_validate(data)


@pytest.mark.parametrize("entry", BY_ID)
def test_the_description_fits_the_example(entry: Entry) -> None:
    whole = document()
    described = whole["components"]["messages"][entry.event.ce_type()]
    example = described["examples"][0]
    for part, instance in (("payload", example["payload"]), ("headers", example["headers"])):
        schema = {**described[part], "components": whole["components"]}
        jsonschema.Draft202012Validator(schema).validate(instance)
    wrong = {**example["headers"], "ce_type": "baitwell.something.else.v1"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(
            {**described["headers"], "components": whole["components"]}
        ).validate(wrong)


def test_keys_and_topics_are_those_of_the_catalogue() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert set(whole["channels"]) == set(TOPICS)
    for topic, channel in whole["channels"].items():
        told = {entry.event.ce_type() for entry in CATALOGUE if entry.event.topic == topic}
        assert set(channel["messages"]) == told
        assert channel["bindings"]["kafka"]["partitions"] == 12
    compacted = whole["channels"]["profiles"]["bindings"]["kafka"]["topicConfiguration"]
    assert compacted["cleanup.policy"] == ["compact"]
    assert compacted["delete.retention.ms"] == 30 * 24 * 3600 * 1000


def test_everybody_who_says_or_hears_something_has_an_operation() -> None:
    operations = document()["operations"]
    said = {
        (entry.event.ce_type(), service, "send")
        for entry in CATALOGUE
        for service in entry.producers
    }
    heard = {
        (entry.event.ce_type(), service, "receive")
        for entry in CATALOGUE
        for service in entry.consumers
    }
    found = {
        (message["$ref"].rpartition("/")[2], name.partition("-")[0], operation["action"])
        for name, operation in operations.items()
        for message in operation["messages"]
    }
    assert found == said | heard


def test_every_reference_of_the_document_leads_somewhere() -> None:
    whole = document()
    pending: list[Any] = [whole]
    seen = 0
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending += item.values()
            if isinstance(item.get("$ref"), str):
                target: Any = whole
                for step in item["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
                seen += 1
        elif isinstance(item, list):
            pending += item
    assert seen > 2 * len(CATALOGUE)


def test_the_pages_name_every_event_and_are_the_same_every_time() -> None:
    pages = render_documents()
    assert set(pages) == {"docs/asyncapi.json", "docs/events.md"}
    assert json.loads(pages["docs/asyncapi.json"]) == document()
    for entry in CATALOGUE:
        assert f"### `{entry.event.ce_type()}`" in pages["docs/events.md"]
    assert render_documents() == pages


def test_only_the_topics_that_may_carry_addresses_do() -> None:
    """DESIGN, promise 7: erasing reaches these and no others."""
    for entry in CATALOGUE:
        text = json.dumps(example_of(entry)["data"])
        if "Li.Na@example.com".lower() in text.lower():
            assert entry.event.topic in {"leads", "profiles", "push-requests"}


def test_an_encoded_event_is_a_cloud_event(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = CATALOGUE[0]
    example = example_of(entry)
    received = decode(record_of(example))
    assert received is not None
    message = encode(
        received.event,
        event_id=received.id,
        key=received.key,
        occurred_at=received.occurred_at,
        source="capture",
    )
    headers = dict(message.headers)
    expected = {k: v for k, v in example["headers"].items() if k != "ce_correlationid"}
    assert headers == expected
    assert json.loads(message.value or b"") == example["data"]

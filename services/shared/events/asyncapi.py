"""The AsyncAPI 3.0 document of the event log, generated from the catalogue, and a page for people.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0 and the Kafka bindings 0.5.0.
"""

import json
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Any

from services.shared.events.catalogue import CATALOGUE, PARTITIONS, TOPICS, Entry, Topic

EXAMPLES = Path(__file__).parent / "examples"

_WRITTEN = "generated from the catalogue by `python -m services docs`: do not edit"

_HEADERS: dict[str, Any] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {
            "type": "string",
            "format": "uuid",
            "description": "Derived from what caused the event: the same when it is said again.",
        },
        "ce_source": {"type": "string", "description": "`/baitwell/` and the service."},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_correlationid": {"type": "string"},
        "ce_replaces": {
            "type": "string",
            "description": "The older type that is written beside this one.",
        },
        "content-type": {"type": "string", "const": "application/json"},
        "scrubbed": {"type": "string", "description": "The value was erased with its person."},
    },
}


def example_of(entry: Entry) -> dict[str, Any]:
    """The example file of an event: topic, key, headers and data."""
    path = EXAMPLES / f"{entry.event.ce_type()}.json"
    example: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return example


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    schemas: dict[str, Any] = {"CloudEventHeaders": _HEADERS}
    messages = {_name(entry): _message(entry, schemas) for entry in CATALOGUE}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:baitwell:events",
        "info": {
            "title": "Baitwell events",
            "version": "1",
            "description": (
                "CloudEvents 1.0 in Kafka's binary content mode: the attributes are headers, the value is "
                "JSON. Delivery is at least once and in order per key. Consumers ignore fields that they "
                "do not know."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS.values()},
        "operations": dict(_operations()),
        "components": {"messages": messages, "schemas": dict(sorted(schemas.items()))},
    }


def render_documents() -> dict[str, str]:
    """The generated documents: text by path, relative to the project."""
    return {
        "docs/asyncapi.json": json.dumps(document(), indent=2, ensure_ascii=False) + "\n",
        "docs/events.md": "\n".join(_page()) + "\n",
    }


def _name(entry: Entry) -> str:
    return entry.event.ce_type()


def _entries(topic: str) -> list[Entry]:
    return [entry for entry in CATALOGUE if entry.event.topic == topic]


def _channel(topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {}
    for name, value in topic.kafka_config().items():
        if name == "cleanup.policy":
            configuration[name] = [value]
        else:
            configuration[name] = int(value)
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Kept: {_kept(topic)}.",
        "messages": {
            _name(entry): {"$ref": f"#/components/messages/{_name(entry)}"}
            for entry in _entries(topic.name)
        },
        "bindings": {
            "kafka": {
                "partitions": PARTITIONS,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    roles: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in CATALOGUE:
        for producer in entry.producers:
            roles.setdefault((producer, "send", entry.event.topic), []).append(entry)
        for consumer in entry.consumers:
            roles.setdefault((consumer, "receive", entry.event.topic), []).append(entry)
    for (service, action, topic), entries in sorted(roles.items()):
        word = "says" if action == "send" else "hears"
        yield (
            f"{service}-{word}-{topic}",
            {
                "action": action,
                "title": f"{service} {word} {topic}",
                "channel": {"$ref": f"#/channels/{topic}"},
                "messages": [
                    {"$ref": f"#/channels/{topic}/messages/{_name(entry)}"} for entry in entries
                ],
            },
        )


def _message(entry: Entry, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = entry.event.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    schemas[entry.event.__name__] = schema
    headers = {
        "allOf": [
            {"$ref": "#/components/schemas/CloudEventHeaders"},
            {"properties": {"ce_type": {"const": entry.event.ce_type()}}},
        ]
    }
    example = example_of(entry)
    return {
        "name": entry.event.ce_type(),
        "title": entry.event.__name__,
        "summary": _summary(entry),
        "contentType": "application/json",
        "headers": headers,
        "payload": {"$ref": f"#/components/schemas/{entry.event.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": TOPICS[entry.event.topic].key},
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"headers": example["headers"], "payload": example["data"]}],
    }


def _summary(entry: Entry) -> str:
    return " ".join((getdoc(entry.event) or "").split("\n\n")[0].split())


def _kept(topic: Topic) -> str:
    if topic.compacted:
        return "the newest of each key (compacted)"
    return f"{topic.retention.days} days" if topic.retention else "for ever"


def _page() -> Iterator[str]:
    yield f"<!-- {_WRITTEN} -->"
    yield "# Events"
    yield ""
    yield (
        "CloudEvents 1.0 in Kafka's binary content mode: `ce_*` headers, JSON data. At least once, in order "
        "per key. The same as an AsyncAPI 3 document: `docs/asyncapi.json`. An example of each: "
        "`services/shared/events/examples/`."
    )
    for topic in TOPICS.values():
        yield ""
        yield f"## `{topic.name}`"
        yield ""
        yield f"Key: {topic.key}. Kept: {_kept(topic)}. Partitions: {PARTITIONS} (embedded: 1)."
        yield ""
        yield "| event | what happened | said by | heard by |"
        yield "|---|---|---|---|"
        for entry in _entries(topic.name):
            said, heard = ", ".join(entry.producers), ", ".join(entry.consumers)
            yield f"| `{entry.event.ce_type()}` | {_summary(entry)} | {said} | {heard} |"
    for entry in CATALOGUE:
        yield from _fields(entry)


def _fields(entry: Entry) -> Iterator[str]:
    schema = entry.event.model_json_schema(ref_template="{model}")
    required = set(schema.get("required", ()))
    yield ""
    yield f"### `{entry.event.ce_type()}`"
    yield ""
    yield "| field | type | |"
    yield "|---|---|---|"
    for name, field in schema["properties"].items():
        yield f"| `{name}` | {_type(field)} | {'' if name in required else 'optional'} |"


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("format") or schema.get("type") or "anything")
    if kind == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    return kind

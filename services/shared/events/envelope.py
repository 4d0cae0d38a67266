"""How an event travels: CloudEvents 1.0 in Kafka's binary content mode (`ce_*` headers, JSON data).

Source: CloudEvents 1.0, Kafka protocol binding, section 3.2.
"""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.shared import correlation


class Event(BaseModel):
    """Something that happened: past tense, immutable. Consumers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    topic: ClassVar[str]

    @classmethod
    def ce_type(cls) -> str:
        """The CloudEvents type, such as `baitwell.lead.submitted.v1`."""
        return f"baitwell.{cls.kind}.v{cls.version}"

    def parts(self) -> "Iterator[tuple[UUID, str, Event]]":
        """The events that this one stands for, each with its id and key; none: it stands for itself."""
        return iter(())


class Message(NamedTuple):
    """What is written to a topic. `value` None is a tombstone."""

    topic: str
    key: str
    headers: tuple[tuple[str, str], ...]
    value: bytes | None


class Record(NamedTuple):
    """What is read from a topic."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: tuple[tuple[str, str], ...]
    value: bytes | None

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        for key, value in self.headers:  # no generator: this is asked for every record
            if key == name:
                return value
        return None


EventT_co = TypeVar("EventT_co", bound=Event, covariant=True)


class Received(NamedTuple, Generic[EventT_co]):
    """A decoded event with what its envelope said. `event` None is a tombstone of `key`."""

    event: EventT_co
    id: UUID
    occurred_at: datetime
    key: str
    correlation_id: str | None
    record: Record


def encode(
    event: Event, *, event_id: UUID, key: str, occurred_at: datetime, source: str
) -> Message:
    """The message for an event. `source` is the service that says it."""
    value = event.model_dump_json().encode()
    return message_of(
        type(event), value, event_id=event_id, key=key, occurred_at=occurred_at, source=source
    )


def message_of(
    kind: type[Event],
    value: bytes,
    *,
    event_id: UUID | str,
    key: str,
    occurred_at: datetime,
    source: str,
) -> Message:
    """The message for an event of `kind` whose JSON the caller has written (the hottest paths do)."""
    headers = (
        *_fixed_headers(kind, source),
        ("ce_id", str(event_id)),
        ("ce_time", stamp(occurred_at)),
    )
    correlation_id = correlation.current()
    if correlation_id:
        headers = (*headers, ("ce_correlationid", correlation_id))
    return Message(kind.topic, key, headers, value)


@lru_cache(maxsize=64)
def stamp(moment: datetime) -> str:
    """A moment as events have it: what happens together is said with the same one several times."""
    return moment.isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=256)
def _fixed_headers(kind: type[Event], source: str) -> tuple[tuple[str, str], ...]:
    """What all events of a kind say alike."""
    return (
        ("ce_specversion", "1.0"),
        ("ce_source", f"/baitwell/{source}"),
        ("ce_type", kind.ce_type()),
        ("content-type", "application/json"),
    )


def tombstone(topic: str, key: str) -> Message:
    """The message that deletes a key of a compacted topic."""
    return Message(topic, key, (), None)

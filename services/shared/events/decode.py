"""Reading events back: what is known is decoded, what is unknown stops the reader with a clear word."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import ValidationError

from services.shared.clock import EPOCH
from services.shared.events.catalogue import BY_TYPE
from services.shared.events.envelope import Event, Received, Record


class UnknownEvent(Exception):
    """A type or version that this program does not know: it is older than its neighbours. Never parked."""


class BadRecord(Exception):
    """A record that can't be read, by its own fault: it is parked."""


class Tombstone(Event):
    """Stands for a record without a value: its key was deleted."""

    kind = "tombstone"
    topic = ""


def decode(record: Record) -> Received[Event] | None:
    """The event of a record; None for one to be skipped (replaced by another, a marker, scrubbed).

    Raises `UnknownEvent` and `BadRecord`.
    """
    if record.value is None:
        return Received(Tombstone(), UUID(int=0), EPOCH, record.key, None, record)
    headers = dict(reversed(record.headers))  # the first of a name counts
    name = headers.get("ce_type")
    if name is None:
        raise BadRecord("no ce_type header")
    entry = BY_TYPE.get(name)
    if entry is None:
        replaces = headers.get("ce_replaces")
        if replaces and replaces in BY_TYPE:
            return None
        raise UnknownEvent(f"unknown event type {name}: this program is older than its writer")
    if entry.event.kind == "log.marker" or headers.get("scrubbed"):
        return None
    try:
        event = entry.event.__pydantic_validator__.validate_json(record.value)
        event_id = UUID(headers.get("ce_id") or "")
        occurred_at = datetime.fromisoformat(headers.get("ce_time") or "")
        if occurred_at.tzinfo is None:
            raise ValueError("a time without its zone")
    except (ValidationError, ValueError) as error:
        reason = type(error).__name__
        raise BadRecord(f"{name}: {reason}") from error
    return Received(
        event, event_id, occurred_at, record.key, headers.get("ce_correlationid"), record
    )


def decode_each(record: Record) -> Sequence[Received[Event]]:
    """The events of a record: usually one, none for one to be skipped, several that were said together.

    Raises as `decode` does.
    """
    received = decode(record)
    if received is None:
        return ()
    return [
        Received(event, event_id, received.occurred_at, key, received.correlation_id, record)
        for event_id, key, event in received.event.parts()
    ] or (received,)

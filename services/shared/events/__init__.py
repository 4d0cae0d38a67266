"""The event catalogue: envelope, payload models by producer, and the table of who says what to whom."""

from services.shared.events.catalogue import CATALOGUE, PARTITIONS, TOPICS
from services.shared.events.decode import BadRecord, Tombstone, UnknownEvent, decode, decode_each
from services.shared.events.envelope import (
    Event,
    Message,
    Received,
    Record,
    encode,
    message_of,
    tombstone,
)

__all__ = [
    "CATALOGUE",
    "PARTITIONS",
    "TOPICS",
    "BadRecord",
    "Event",
    "Message",
    "Received",
    "Record",
    "Tombstone",
    "UnknownEvent",
    "decode",
    "decode_each",
    "encode",
    "message_of",
    "tombstone",
]

"""What is published together, packed into one batch of records for each partition.

aiokafka's own way makes a task's worth of work for each record (a look at the topic, a future, callbacks): four
times what packing it costs.
"""

import struct
import time
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from services.shared.events import PARTITIONS, Message

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF


class Packed(NamedTuple):
    """Records of one partition, in order. `topic` has its prefix, `builder` is aiokafka's."""

    topic: str
    partition: int
    builder: Any


def pack(producer: AIOKafkaProducer, prefix: str, messages: Iterable[Message]) -> list[Packed]:
    """The messages in batches, to be sent in this order: those of a partition stay in theirs."""
    packed: list[Packed] = []
    filling: dict[tuple[str, int], Any] = {}
    now = round(time.time() * 1000)
    for topic, name, headers, value in messages:
        key = name.encode()
        place = topic, partition_of(key)
        record = {
            "timestamp": now,
            "key": key,
            "value": value,
            "headers": [(header, text.encode()) for header, text in headers],
        }
        builder = filling.get(place)
        if builder is None or builder.append(**record) is None:
            builder = filling[place] = producer.create_batch()
            packed.append(Packed(prefix + topic, place[1], builder))
            builder.append(**record)  # the first one is taken, however large it is
    for builder in filling.values():
        builder.close()
    return packed


def partition_of(key: bytes) -> int:
    """The partition of a key, as Kafka's own clients choose it."""
    return (murmur2(key) & 0x7FFFFFFF) % PARTITIONS


def murmur2(data: bytes) -> int:
    """The hash by which Kafka's clients spread keys (its `Utils.murmur2`), read in words."""
    length = len(data)
    found = _SEED ^ length
    for word in _words(length >> 2).unpack_from(data):
        mixed = word * _MULTIPLIER & _WORD
        found = (found * _MULTIPLIER ^ (mixed ^ mixed >> 24) * _MULTIPLIER) & _WORD
    if rest := length & 3:
        found ^= int.from_bytes(data[-rest:], "little")
        found = found * _MULTIPLIER & _WORD
    found ^= found >> 13
    found = found * _MULTIPLIER & _WORD
    return found ^ found >> 15


@cache
def _words(number: int) -> struct.Struct:
    return struct.Struct(f"<{number}I")

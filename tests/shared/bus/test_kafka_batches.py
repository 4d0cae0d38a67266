"""What is published together is packed as Kafka's own clients would spread it."""

import random
from typing import Any

from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from services.shared.bus.kafka_batches import murmur2, pack, partition_of
from services.shared.events import PARTITIONS, Message


class _Producer:
    """Makes small batches as aiokafka's does."""

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(1000, 0)


def test_keys_are_hashed_as_by_every_other_client():
    chance = random.Random(7)
    keys = [chance.randbytes(length) for length in range(70) for _ in range(5)]
    assert [murmur2(key) for key in keys] == [murmur2_of_aiokafka(key) for key in keys]
    # of Kafka's own tests: UtilsTest.testMurmur2
    assert murmur2(b"21") == -973932308 & 0xFFFFFFFF
    assert murmur2(b"a-little-bit-long-string") == -985981536 & 0xFFFFFFFF


def test_all_partitions_are_used():
    assert {partition_of(str(number).encode()) for number in range(500)} == set(range(PARTITIONS))


def test_messages_keep_their_order_in_each_partition_and_are_whole():
    messages = [
        Message(
            ("leads", "views")[number % 2],
            f"key {number % 20}",
            (("ce_type", "a"), ("name", "ü")),
            None if number % 7 == 0 else b"v%d " % number * (400 if number == 5 else 10),
        )
        for number in range(300)
    ]
    packed = pack(_Producer(), "test-", messages)
    assert len(packed) > 2 * PARTITIONS, "some partitions need several batches"
    found: dict[tuple[str, int], list[Any]] = {}
    for topic, partition, builder in packed:
        batch = DefaultRecordBatch(bytearray(builder._build()))
        assert batch.validate_crc()
        found.setdefault((topic, partition), []).extend(
            (one.key, one.value, one.headers) for one in batch
        )
    wanted: dict[tuple[str, int], list[Any]] = {}
    for one in messages:
        key = one.key.encode()
        headers = [(name, text.encode()) for name, text in one.headers]
        wanted.setdefault((f"test-{one.topic}", partition_of(key)), []).append(
            (key, one.value, headers)
        )
    assert found == wanted

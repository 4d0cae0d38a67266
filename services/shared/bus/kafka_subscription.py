"""A member of a consumer group on Kafka that reads from positions of its own.

aiokafka takes care of membership and of fetching. Nothing is committed to Kafka, and its idea of where to
begin is never used: a partition is handed out only after it was placed at its stored position, which
`fetch` does, so that errors of that look-up reach the reader and a rebalance never waits for a database.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from services.shared.bus.base import Batch, BusUnavailable, Partition, Positions
from services.shared.bus.kafka_client import Connection, stop
from services.shared.clock import Clock
from services.shared.events import Record

_log = logging.getLogger(__name__)

# While a request waits for records of some partitions, aiokafka asks for no others of that broker: those that were
# handed out meanwhile wait as long.
_FETCH_WAIT_MS = 100
_FETCH_BYTES = 32_768
"""A request for records is answered when there is so much, or after that wait: each one costs the broker and us as
much as a hundred records do, and answered at the first record there would be as many of them as records."""


@dataclass(frozen=True, slots=True)
class Membership:
    """Who reads what: group and member as Kafka knows them, topics without their prefix."""

    group: str
    member: str
    topics: tuple[str, ...]
    prefix: str

    def partition(self, found: TopicPartition) -> Partition:
        return Partition(found.topic.removeprefix(self.prefix), found.partition)

    def kafka(self, partition: Partition) -> TopicPartition:
        return TopicPartition(self.prefix + partition.topic, partition.number)


class KafkaSubscription:
    """Made by `KafkaBus.subscribe`. `beginnings` tells the oldest offsets of partitions."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        membership: Membership,
        positions: Positions,
        beginnings: Callable[[Iterable[Partition]], Awaitable[dict[Partition, int]]],
    ) -> None:
        self.gaps = 0
        self._connection = connection
        self._clock = clock
        self._membership = membership
        self._positions = positions
        self._beginnings = beginnings
        self._consumer: AIOKafkaConsumer | None = None
        self._placed: dict[Partition, bool] = {}
        self._paused: set[Partition] = set()
        self._moves = 0
        self._changed = asyncio.Event()
        self._closed = False

    async def join(self) -> None:
        """Connect and ask to be let into the group. Raises `BusUnavailable`."""
        times = self._connection.times
        consumer = AIOKafkaConsumer(
            group_id=self._membership.group,
            group_instance_id=self._membership.member,
            enable_auto_commit=False,
            auto_offset_reset="none",
            session_timeout_ms=round(times.session * 1000),
            heartbeat_interval_ms=round(times.heartbeat * 1000),
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            fetch_min_bytes=_FETCH_BYTES,
            retry_backoff_ms=200,
            **self._connection.settings(),
        )
        try:
            async with asyncio.timeout(times.answer):
                # The topics come afterwards: `start` would wait without a bound for partitions.
                await consumer.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await stop(consumer, times.close)
            raise BusUnavailable(f"the log can't be reached: {error!r}") from error
        except BaseException:
            await stop(consumer, times.close)
            raise
        if self._closed:
            await stop(consumer, times.close)
            raise BusUnavailable("the subscription was closed")
        self._consumer = consumer
        topics = [self._membership.prefix + topic for topic in self._membership.topics]
        consumer.subscribe(topics, listener=_Listener(self, consumer))

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._placed)

    async def fetch(self, limit: int, wait: float) -> list[Batch]:
        end = self._clock.monotonic() + wait
        if self._closed:
            raise BusUnavailable("the subscription was closed")
        if self._consumer is None:
            await self.join()
        while True:
            self._changed.clear()
            await self._place()
            left = max(0.0, end - self._clock.monotonic())
            batches = await self._poll(limit, left)
            if batches or self._clock.monotonic() >= end or self._closed:
                return batches

    def pause(self, partition: Partition) -> None:
        self._paused.add(partition)
        if self._consumer is not None and partition in self._placed:
            self._consumer.pause(self._membership.kafka(partition))

    async def seek(self, partition: Partition) -> None:
        self._paused.discard(partition)
        if partition in self._placed:
            self._placed[partition] = False
            self._move()

    async def restart(self) -> None:
        if self._closed:
            raise BusUnavailable("the subscription was closed")
        await self._drop()
        await self.join()

    async def close(self) -> None:
        self._closed = True
        self._move()
        consumer = self._consumer
        if consumer is not None and consumer._coordinator is not None:
            # A static member does not leave when it stops. This one will not come back soon, or comes
            # back under its name without harm: the others need not wait for its session to end.
            consumer._coordinator._group_instance_id = None
        await self._drop()

    def revoked(self, consumer: AIOKafkaConsumer) -> None:
        """A rebalance begins: nothing is ours."""
        if consumer is self._consumer:
            self._placed.clear()
            self._move()

    def given(self, consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
        """A rebalance has ended: these are ours, from their stored positions."""
        if consumer is self._consumer:
            self._placed = {self._membership.partition(found): False for found in partitions}
            self._move()

    def _move(self) -> None:
        self._moves += 1
        self._changed.set()

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._placed.clear()
        self._move()
        if consumer is not None:
            await stop(consumer, self._connection.times.close)

    async def _place(self) -> None:
        while unplaced := [
            partition
            for partition, placed in self._placed.items()
            if not placed and partition not in self._paused
        ]:
            moves = self._moves
            stored = await self._positions(unplaced)
            missing = [partition for partition in unplaced if partition not in stored]
            if missing:
                stored = {**stored, **await self._beginnings(missing)}
            if moves == self._moves:
                for partition in unplaced:
                    self._put(partition, stored[partition])

    def _put(self, partition: Partition, position: int) -> None:
        assert self._consumer is not None
        place = self._membership.kafka(partition)
        if place in self._consumer.assignment():
            self._consumer.seek(place, position)
            self._consumer.resume(place)
        self._placed[partition] = True

    async def _poll(self, limit: int, wait: float) -> list[Batch]:
        consumer = self._consumer
        ready = [
            self._membership.kafka(partition)
            for partition, placed in self._placed.items()
            if placed and partition not in self._paused
        ]
        if consumer is None or not ready:
            await self._clock.wait(self._changed, wait)
            return []
        if consumer._fetcher is not None and consumer._fetcher.error_future.done():
            # `getmany` would answer that there is nothing, for ever
            await self._drop()
            raise BusUnavailable("what fetches from the log has ended")
        try:
            found = await self._get(consumer, ready, limit, wait)
        except OffsetOutOfRangeError as error:
            await self._fill_gap(consumer, error.args[0])
            return []
        except NoOffsetForPartitionError:
            # From the time before the partition was placed; the fetcher has forgotten it by now.
            return []
        except KafkaError as error:
            if self._closed or consumer is not self._consumer:
                return []
            await self._drop()
            raise BusUnavailable(f"reading failed: {error!r}") from error
        return [
            Batch(self._membership.partition(place), tuple(map(self._record, records)))
            for place, records in found.items()
        ]

    async def _get(
        self,
        consumer: AIOKafkaConsumer,
        ready: list[TopicPartition],
        limit: int,
        wait: float,
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """`getmany`, given up when what is ours has changed; during a rebalance it has no bound of its own."""
        getting = asyncio.ensure_future(
            consumer.getmany(*ready, timeout_ms=round(wait * 1000), max_records=limit)
        )
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait(
                {getting, changed}, timeout=wait + 0.5, return_when=asyncio.FIRST_COMPLETED
            )
            getting.cancel()
            await asyncio.wait({getting})
        except asyncio.CancelledError:
            # What it may have taken out of the buffer is lost to us: begin at the stored positions.
            self._placed = dict.fromkeys(self._placed, False)
            raise
        finally:
            changed.cancel()
            getting.cancel()
        return {} if getting.cancelled() else getting.result()

    async def _fill_gap(
        self, consumer: AIOKafkaConsumer, offsets: dict[TopicPartition, int]
    ) -> None:
        moves = self._moves
        lost = {self._membership.partition(place): at for place, at in offsets.items()}
        oldest = await self._beginnings(lost)
        if moves != self._moves or consumer is not self._consumer:
            return
        for partition, at in lost.items():
            self.gaps += 1
            _log.warning(
                "%s: position %d of %s/%d is not in the log: reading from the oldest record, %d",
                self._membership.group,
                at,
                partition.topic,
                partition.number,
                oldest[partition],
            )
            self._put(partition, oldest[partition])

    def _record(self, found: ConsumerRecord) -> Record:
        return Record(
            found.topic.removeprefix(self._membership.prefix),
            found.partition,
            found.offset,
            (found.key or b"").decode("utf-8", "replace"),
            tuple((name, (text or b"").decode("utf-8", "replace")) for name, text in found.headers),
            found.value,
        )


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Tells the subscription of one consumer's rebalances; a consumer that was replaced is not heard."""

    def __init__(self, subscription: KafkaSubscription, consumer: AIOKafkaConsumer) -> None:
        self._subscription = subscription
        self._consumer = consumer

    def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        self._subscription.revoked(self._consumer)

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._subscription.given(self._consumer, assigned)

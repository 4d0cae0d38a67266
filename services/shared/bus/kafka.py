"""The event log on Kafka. Nothing outside this module and its `kafka_…` neighbours imports aiokafka.

The embedded mode never imports it: whoever sets up the scaled mode imports this module there.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from services.shared.bus.base import (
    BusUnavailable,
    Partition,
    Positions,
    check_size,
)
from services.shared.bus.kafka_batches import Packed, pack
from services.shared.bus.kafka_client import Connection, KafkaSecurity, KafkaTimes, stop
from services.shared.bus.kafka_subscription import KafkaSubscription, Membership
from services.shared.clock import Clock
from services.shared.errors import SetupError
from services.shared.events import PARTITIONS, TOPICS, Message

__all__ = ["KafkaBus", "KafkaSecurity", "KafkaTimes"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_EXISTS = 36
_STUCK_AT_MOST = 60.0
_AWAY = (KafkaError, OSError, TimeoutError)


class KafkaBus:
    """The log on the brokers `servers` (host:port, commas between). Every topic's name begins with `prefix`."""

    def __init__(
        self,
        servers: str,
        clock: Clock,
        *,
        prefix: str = "",
        replication: int = 1,
        security: KafkaSecurity = KafkaSecurity(),  # noqa: B008  # it is frozen
        client_id: str = "baitwell",
        times: KafkaTimes = KafkaTimes(),  # noqa: B008
    ) -> None:
        self._clock = clock
        self._prefix = prefix
        self._replication = replication
        self._connection = Connection(servers, client_id, security, times)
        self._topics: set[str] = set()
        self._producer: AIOKafkaProducer | None = None
        self._asker: AIOKafkaConsumer | None = None
        self._subscriptions: list[KafkaSubscription] = []
        self._pending: set[asyncio.Future[Any]] = set()
        self._stuck: tuple[float, set[asyncio.Future[Any]]] = (0.0, set())
        self._connecting = asyncio.Lock()
        self._closed = False

    async def start(self, topics: Sequence[str]) -> None:
        created = await self._make(topics)
        if created:
            _log.info("topics created: %s", ", ".join(created))
        producer = await self._ready_producer()
        for topic in topics:
            await self._bounded(self._check_partitions(producer, topic))
        self._topics.update(topics)
        # A leader that tells its oldest offset takes writes, too.
        await self.beginnings(topics)

    async def publish(self, messages: Sequence[Message]) -> None:
        check_size(messages)
        self._check_started({message.topic for message in messages})
        if not messages:
            return
        await self._await_stuck()
        producer = await self._ready_producer()
        sent: set[asyncio.Future[Any]] = set()
        end = time.monotonic() + self._connection.times.publish
        try:
            async with asyncio.timeout(self._connection.times.publish):
                await self._check_whole(producer, {message.topic for message in messages})
                for batch in pack(producer, self._prefix, messages):
                    sent.add(await self._send(producer, batch))
        except _AWAY as error:
            await self._give_up(producer, sent, error)
        done, late = await asyncio.wait(sent, timeout=max(0.0, end - time.monotonic()))
        failed = next((f for f in done if f.cancelled() or f.exception()), None)
        if late or failed:
            reason = failed.exception() if failed and not failed.cancelled() else None
            await self._give_up(producer, late, reason or TimeoutError("no answer in time"))

    async def subscribe(
        self, group: str, member: str, topics: Sequence[str], positions: Positions
    ) -> KafkaSubscription:
        self._check_started(set(topics))
        membership = Membership(self._prefix + group, member, tuple(topics), self._prefix)
        joined = KafkaSubscription(
            self._connection, self._clock, membership, positions, self._beginnings_of
        )
        await joined.join()
        self._subscriptions.append(joined)
        return joined

    async def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        asker = await self._ready_asker()
        return await self._ask(asker.end_offsets, self._partitions(topics))

    async def beginnings(self, topics: Sequence[str]) -> dict[Partition, int]:
        return await self._beginnings_of(self._partitions(topics))

    async def scrub(self, _topic: str, _keys: Sequence[str]) -> bool:
        return False

    async def close(self) -> None:
        self._closed = True
        seconds = self._connection.times.close
        subscriptions, self._subscriptions = self._subscriptions, []
        stopping: list[Awaitable[None]] = [member.close() for member in subscriptions]
        clients: tuple[Any, ...] = (self._producer, self._asker)
        self._producer = self._asker = None
        stopping += [stop(client, seconds) for client in clients if client is not None]
        await asyncio.gather(*stopping)
        for future in self._pending:
            future.cancel()

    async def _check_whole(self, producer: AIOKafkaProducer, topics: set[str]) -> None:
        """Raises `UnknownTopicOrPartitionError`: a broker that came back may have lost a topic, or made it anew."""
        for topic in topics:
            if len(await producer.partitions_for(self._prefix + topic)) != PARTITIONS:
                raise UnknownTopicOrPartitionError(topic)

    async def _send(self, producer: AIOKafkaProducer, batch: Packed) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = await producer.send_batch(
            batch.builder, batch.topic, partition=batch.partition
        )
        self._pending.add(future)
        future.add_done_callback(self._settled)
        return future

    def _settled(self, future: "asyncio.Future[Any]") -> None:
        self._pending.discard(future)
        # Somebody has to look at it, or Python complains of an error that nobody saw.
        if not future.cancelled():
            future.exception()

    async def _give_up(
        self, producer: AIOKafkaProducer, late: set["asyncio.Future[Any]"], error: BaseException
    ) -> None:
        """Remember what may still arrive; a producer that failed for good is replaced."""
        waiting = {future for future in late if not future.done()}
        if waiting:
            since, known = self._stuck
            self._stuck = (since if known else time.monotonic(), known | waiting)
        if isinstance(error, KafkaError):
            await self._replace(producer)
        raise BusUnavailable(f"publishing failed: {error!r}") from error

    async def _await_stuck(self) -> None:
        """Send nothing while what was sent before has no answer: it would arrive twice, and be many."""
        since, stuck = self._stuck
        stuck = {future for future in stuck if not future.done()}
        self._stuck = (since, stuck)
        if not stuck:
            return
        _, late = await asyncio.wait(stuck, timeout=self._connection.times.publish)
        if not late:
            return
        if time.monotonic() - since > _STUCK_AT_MOST and self._producer is not None:
            # For example a broker that came back without our topics.
            await self._replace(self._producer)
        raise BusUnavailable("publishing failed: the log does not answer")

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        is_current = producer is self._producer
        if not is_current:
            return
        self._producer = None
        await stop(producer, self._connection.times.close)
        for future in list(self._pending):
            future.cancel()
        self._stuck = (0.0, set())

    async def _ready_producer(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._closed:
                raise BusUnavailable("the log was closed")
            if self._producer is None:
                if self._topics:
                    await self._make(sorted(self._topics))
                self._producer = await self._started(
                    AIOKafkaProducer(
                        acks="all",
                        enable_idempotence=True,
                        compression_type="lz4",
                        max_batch_size=131_072,
                        **self._connection.settings(),
                    )
                )
            return self._producer

    async def _ready_asker(self) -> AIOKafkaConsumer:
        async with self._connecting:
            if self._closed:
                raise BusUnavailable("the log was closed")
            if self._asker is None:
                self._asker = await self._started(AIOKafkaConsumer(**self._connection.settings()))
            return self._asker

    async def _started(self, client: T) -> T:
        begun: Any = client
        try:
            await self._bounded(begun.start())
        except BaseException:
            # Also when cancelled: a client that is only let go of leaves tasks and sockets behind.
            await stop(begun, self._connection.times.close)
            raise
        return client

    async def _make(self, topics: Sequence[str]) -> list[str]:
        """Create the topics that are missing; their names."""
        admin = AIOKafkaAdminClient(**self._connection.settings())
        try:
            await self._bounded(admin.start())
            wanted = [
                NewTopic(
                    self._prefix + topic,
                    PARTITIONS,
                    self._replication,
                    topic_configs=TOPICS[topic].kafka_config(),
                )
                for topic in topics
            ]
            answer = await self._bounded(admin.create_topics(wanted))
        finally:
            await admin.close()
        created = []
        for name, code, *words in answer.topic_errors:
            if code not in (0, _EXISTS):
                raise BusUnavailable(f"topic {name} can't be created: error {code} {words}")
            if code == 0:
                created.append(name)
        return created

    async def _check_partitions(self, producer: AIOKafkaProducer, topic: str) -> None:
        name = self._prefix + topic
        found = await producer.partitions_for(name)
        if len(found) != PARTITIONS:
            raise SetupError(
                f"topic {name} has {len(found)} partitions and needs {PARTITIONS}:"
                " give BAITWELL_KAFKA_PREFIX another value, or delete the topic"
            )

    def _partitions(self, topics: Sequence[str]) -> list[Partition]:
        self._check_started(set(topics))
        return [Partition(topic, number) for topic in topics for number in range(PARTITIONS)]

    def _check_started(self, topics: set[str]) -> None:
        if unknown := topics - self._topics:
            raise ValueError(f"topics that were not started: {sorted(unknown)}")

    async def _beginnings_of(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        asker = await self._ready_asker()
        return await self._ask(asker.beginning_offsets, partitions)

    async def _ask(
        self,
        question: Callable[[list[TopicPartition]], Awaitable[dict[TopicPartition, int]]],
        partitions: Iterable[Partition],
    ) -> dict[Partition, int]:
        asked = {
            TopicPartition(self._prefix + partition.topic, partition.number): partition
            for partition in partitions
        }
        answer = await self._bounded(question(list(asked)))
        return {asked[place]: offset for place, offset in answer.items()}

    async def _bounded(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._connection.times.answer):
                return await call
        except _AWAY as error:
            raise BusUnavailable(f"the log can't be reached: {error!r}") from error

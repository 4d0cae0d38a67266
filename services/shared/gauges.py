"""What an operator watches: lag, outbox, parked records, failed tasks; read when somebody asks."""

import asyncio
import contextlib
import math
from typing import Any

from prometheus_client import CollectorRegistry

from services.shared import outbox
from services.shared.bus import BusUnavailable
from services.shared.errors import DatabaseUnavailable
from services.shared.ground import Ground
from services.shared.runner import parked
from services.shared.runner.consumer import ConsumerSpec
from services.shared.runner.positions import lag
from services.shared.runner.supervisor import Supervisor

_FRESH = 2.0


class Gauges:
    """Keeps the shared gauges of one service up to date, at most every 2 s."""

    def __init__(
        self,
        service: str,
        consumer: ConsumerSpec | None,
        ground: Ground[Any],
        supervisor: Supervisor,
        log_ready: asyncio.Event,
    ) -> None:
        self._service = service
        self._consumer = consumer
        self._ground = ground
        self._supervisor = supervisor
        self._log_ready = log_ready
        self._read_at = float("-inf")
        self.outbox = outbox.OutboxState(0, None)

    async def run(self, stop: asyncio.Event) -> None:
        """Read the outbox's state again and again: back-pressure looks at it."""
        while not stop.is_set():
            with contextlib.suppress(DatabaseUnavailable):  # /health/ready says so
                self.outbox = await self._ground.database.read(outbox.state)
            await self._ground.clock.wait(stop, 1.0)

    async def refresh(self) -> None:
        """Read all gauges, unless they are fresh."""
        now = self._ground.clock.monotonic()
        if now - self._read_at < _FRESH:
            return
        self._read_at = now
        telemetry = self._ground.telemetry
        for task, times in self._supervisor.failures.items():
            telemetry.task_failures.labels(self._service, task).set(times)
        try:
            self.outbox = await self._ground.database.read(outbox.state)
            parked_now = await self._ground.database.read(parked.count)
        except DatabaseUnavailable:
            return
        telemetry.outbox_depth.labels(self._service).set(self.outbox.depth)
        oldest = self.outbox.oldest
        age = (self._ground.clock.now() - oldest).total_seconds() if oldest else 0.0
        telemetry.outbox_age.labels(self._service).set(max(0.0, age))
        if self._consumer is not None:
            for topic in self._consumer.topics:
                number = parked_now.get((self._consumer.name, topic), 0)
                telemetry.parked_now.labels(self._consumer.name, topic).set(number)
            if self._log_ready.is_set():
                await self._read_lag(self._consumer)

    async def _read_lag(self, consumer: ConsumerSpec) -> None:
        try:
            by_partition = await lag(
                self._ground.database, self._ground.bus, consumer.name, consumer.topics
            )
        except (BusUnavailable, DatabaseUnavailable):
            return
        by_topic = dict.fromkeys(consumer.topics, 0)
        for partition, behind in by_partition.items():
            by_topic[partition.topic] += behind
        for topic, behind in by_topic.items():
            self._ground.telemetry.lag.labels(consumer.name, topic).set(behind)


def gauge_samples(registry: CollectorRegistry) -> list[dict[str, Any]]:
    """All gauges of a registry as name, labels and value; None stands for what is no number."""
    return [
        {
            "name": sample.name,
            "labels": sample.labels,
            "value": sample.value if math.isfinite(sample.value) else None,
        }
        for family in registry.collect()
        if family.type == "gauge"
        for sample in family.samples
    ]

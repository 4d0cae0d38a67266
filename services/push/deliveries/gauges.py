"""What Prometheus and an operator see of the ledger and its dispatchers."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from services.push.channels.base import OutcomeClass
from services.push.deliveries import repository
from services.push.deliveries.dispatcher import Observer
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

_EVERY = 5.0


class DispatchMetrics(Observer):
    """Counters that the dispatchers feed, gauges that are read from the ledger every few seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._changes = Counter(
            "baitwell_deliveries_changed_total",
            "Deliveries that came to a state, with the reason.",
            ("channel", "state", "reason"),
            registry=registry,
        )
        self._answers = Counter(
            "baitwell_channel_results_total",
            "Results that channels reported, by class of outcome.",
            ("channel", "outcome"),
            registry=registry,
        )
        self._late = Counter(
            "baitwell_late_results_total",
            "Results for deliveries that were no longer the dispatcher's.",
            ("channel",),
            registry=registry,
        )
        self._open = Gauge(
            "baitwell_deliveries",
            "Deliveries that are open or unknown now.",
            ("channel", "state"),
            registry=registry,
        )
        self._age = Gauge(
            "baitwell_deliveries_oldest_due_seconds",
            "For how long the oldest message that may go out has waited.",
            ("channel",),
            registry=registry,
        )
        self._paused = Gauge(
            "baitwell_dispatch_paused",
            "1 while a channel (or its marketing) is paused for a reason.",
            ("channel", "what", "reason"),
            registry=registry,
        )
        self._view = Gauge(
            "baitwell_reach_view_age_seconds",
            "How old push's view of who may be reached can be; +Inf when nobody can know.",
            registry=registry,
        )
        self._counters = (self._changes, self._answers, self._late)
        self._taken: dict[tuple[Any, ...], float] = {}
        self._change = lru_cache(maxsize=500)(self._changes.labels)
        self._answer = lru_cache(maxsize=100)(self._answers.labels)

    def changed(self, channel: str, state: str, reason: str | None) -> None:
        self._change(channel, state, reason or "").inc()

    def answered(self, channel: str, outcome: OutcomeClass | None) -> None:
        self._answer(channel, outcome.value if outcome else "not-sent").inc()

    def late(self, channel: str, number: int) -> None:
        self._late.labels(channel).inc(number)

    def counted(self) -> list[list[Any]]:
        """The counters: [which, labels, value]."""
        return [
            [which, sample.labels, sample.value]
            for which, counter in enumerate(self._counters)
            for metric in counter.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        ]

    def take(self, counted: list[list[Any]]) -> None:
        """Count what another process has `counted` since it was taken the last time."""
        for which, labels, value in counted:
            key = (which, *labels.values())
            self._counters[which].labels(**labels).inc(value - self._taken.get(key, 0.0))
            self._taken[key] = value

    def show(self, pauses: list[tuple[str, str, str]], view_age: float) -> None:
        """Set what is paused now, as (channel, what, reason), and how old the view may be."""
        self._paused.clear()
        for channel, what, reason in pauses:
            self._paused.labels(channel, what, reason).set(1)
        self._view.set(view_age)

    async def keep(
        self, database: Database, clock: Clock, show: Callable[[], None], stop: asyncio.Event
    ) -> None:
        """Read the ledger every few seconds, and call `show`, until `stop` is set."""
        while not stop.is_set():
            with contextlib.suppress(DatabaseUnavailable):  # /health/ready says so
                await self._read(database, clock)
            show()
            await clock.wait(stop, _EVERY)

    async def _read(self, database: Database, clock: Clock) -> None:
        now = clock.now()
        states = await database.scan(repository.open_states)
        oldest = await database.scan(lambda session: repository.oldest_due(session, now))
        self._open.clear()
        for (channel, state), number in states.items():
            self._open.labels(channel, state).set(number)
        self._age.clear()
        for channel, since in oldest.items():
            self._age.labels(channel).set(max(0.0, (now - since).total_seconds()))

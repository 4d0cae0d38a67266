"""The funnel as Prometheus series: totals read from the database, the same on every replica."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlmodel import Session

from services.metrics.funnel import repository
from services.metrics.funnel.models import Name
from services.metrics.funnel.stages import RESOLVED
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable

_FRESH = 4.0
_LABELLED = 100
_OTHER = "other"

Series = tuple[str, str, str, str]


class FunnelSeries(Collector):
    """`baitwell_funnel_total{stage,channel,bait,campaign}`; `refresh` reads, `collect` tells."""

    def __init__(self, database: Database, clock: Clock, registry: CollectorRegistry) -> None:
        self._database = database
        self._clock = clock
        self._read_at = float("-inf")
        self._told = self._family({})
        registry.register(self)

    async def refresh(self) -> None:
        """Read the totals, unless they were read within seconds; keep the last ones without a database."""
        if self._clock.monotonic() - self._read_at < _FRESH:
            return
        with suppress(DatabaseUnavailable):
            self._told = self._family(await self._database.scan(_read))
            self._read_at = self._clock.monotonic()

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield self._family({})

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield self._told

    @staticmethod
    def _family(values: Mapping[Series, int]) -> CounterMetricFamily:
        family = CounterMetricFamily(
            "baitwell_funnel",
            "Events by stage, as kept in the database; take max over replicas. A machine's have "
            "stages of their own; refunds and corrections too: no series falls.",
            labels=("stage", "channel", "bait", "campaign"),
        )
        for labels, value in sorted(values.items()):
            family.add_metric(labels, value)
        return family


def _read(session: Session) -> dict[Series, int]:
    known = repository.names(session)
    baits, campaigns = _labels(known, "bait"), _labels(known, "campaign")
    values: dict[Series, int] = defaultdict(int)
    for stage, channel, bait, campaign, number, subjects in repository.series(session):
        value = subjects if stage == RESOLVED else number
        if value:
            labels = (stage, channel, _label(baits, bait), _label(campaigns, campaign))
            values[labels] += int(value)
    return dict(values)


def _labels(known: Sequence[Name], kind: str) -> dict[str, str]:
    """The labels of the first 100 of a kind; two with one name are told apart by the id."""
    taken: set[str] = {"", _OTHER}
    labels: dict[str, str] = {}
    for name in [name for name in known if name.kind == kind][:_LABELLED]:
        label = name.label if name.label not in taken else f"{name.label} ({name.thing[-8:]})"
        taken.add(label)
        labels[name.thing] = label
    return labels


def _label(labels: dict[str, Any], thing: str) -> str:
    return str(labels.get(thing, _OTHER)) if thing else ""

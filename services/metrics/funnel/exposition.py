"""The funnel as Prometheus series: totals read from the database, the same on every replica."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from sqlmodel import Session

from services.metrics.funnel import repository
from services.metrics.funnel.stages import RESOLVED
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable
from services.shared.exposition import RenderedCounter, SeriesText

_FRESH = 4.0
_LABELLED = 100
_OTHER = "other"
_TOLD = (
    "Events by stage, as kept in the database; take max over replicas. A machine's have "
    "stages of their own; refunds and corrections too: no series falls."
)

Series = tuple[str, str, str, str]
Label = tuple[str, str, str]
"""Kind, thing and what it is called."""


class FunnelSeries(Collector):
    """`baitwell_funnel_total{stage,channel,bait,campaign}`; `refresh` reads, `collect` tells."""

    def __init__(self, database: Database, clock: Clock, registry: CollectorRegistry) -> None:
        self._database = database
        self._clock = clock
        self._read_at = float("-inf")
        self._text = SeriesText("baitwell_funnel", ("stage", "channel", "bait", "campaign"))
        self._told = self._family({})
        registry.register(self)

    async def refresh(self) -> None:
        """Read the totals, unless they were read within seconds; keep the last ones without a database."""
        if self._clock.monotonic() - self._read_at < _FRESH:
            return
        with suppress(DatabaseUnavailable):
            self._told = self._family(await self._database.scan(_read))
            self._read_at = self._clock.monotonic()

    def describe(self) -> Iterator[RenderedCounter]:
        yield self._family({})

    def collect(self) -> Iterator[RenderedCounter]:
        yield self._told

    def _family(self, values: Mapping[Series, int]) -> RenderedCounter:
        return self._text.family(_TOLD, sorted(values.items()))


def _read(session: Session) -> dict[Series, int]:
    known = repository.labels(session)
    baits, campaigns = _labels(known, "bait"), _labels(known, "campaign")
    values: dict[Series, int] = defaultdict(int)
    for stage, channel, bait, campaign, number, subjects in repository.series(session):
        value = subjects if stage == RESOLVED else number
        if value:
            values[stage, channel, baits[bait], campaigns[campaign]] += value
    return dict(values)


class _Labels(dict[str, str]):
    """The label of each thing; all that have none of their own share one."""

    def __missing__(self, thing: str) -> str:
        return _OTHER if thing else ""


def _labels(known: Sequence[Label], kind: str) -> _Labels:
    """The labels of the first 100 of a kind; two with one name are told apart by the id."""
    taken: set[str] = {"", _OTHER}
    labels = _Labels()
    for _, thing, name in [one for one in known if one[0] == kind][:_LABELLED]:
        label = name if name not in taken else f"{name} ({thing[-8:]})"
        taken.add(label)
        labels[thing] = label
    return labels

"""How old push's view of who may be reached can be at most.

A probe asks profile and metrics for their oldest change that is not published yet, then where the log
ends. Once our positions have passed those ends, the view is as fresh as the probe was, less that age.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.shared.bus import Bus, BusUnavailable, Partition
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable
from services.shared.http.internal import InternalClient, ServiceUnreachable
from services.shared.runner import positions

LIMIT_SECONDS = 3.0
_EVERY = 1.0
_LOOK = 0.2
_PROBES = 10
_SOURCES = ("profile", "metrics")


@dataclass(frozen=True, slots=True)
class _Probe:
    fresh_at: float
    ends: Mapping[Partition, int]


class Freshness:
    """Keeps asking; `closed` says whether marketing must wait."""

    def __init__(
        self,
        neighbours: Mapping[str, InternalClient],
        bus: Bus,
        database: Database,
        clock: Clock,
        *,
        consumer: str,
        topics: Sequence[str],
    ) -> None:
        self._neighbours = neighbours
        self._bus = bus
        self._database = database
        self._clock = clock
        self._consumer = consumer
        self._topics = topics
        self._known = float("-inf")
        self._probes: deque[_Probe] = deque(maxlen=_PROBES)
        self._away: str | None = "not asked yet"

    @property
    def age(self) -> float:
        """Seconds: how old the view may be; infinite when nobody can know."""
        return self._clock.monotonic() - self._known

    @property
    def detail(self) -> str | None:
        """What keeps us from knowing, for an operator; None when nothing does."""
        return self._away

    @property
    def known(self) -> float | None:
        """The instant of the monotonic clock at which the view was right; None: nobody knows."""
        return None if math.isinf(self._known) else self._known

    def learn(self, known: float | None) -> None:
        """Another process on this machine has asked: its `known`."""
        if known is not None:
            self._known = max(self._known, known)

    def closed(self) -> str | None:
        """`view_too_old` while the view may be older than 3 s, else None."""
        return "view_too_old" if self.age > LIMIT_SECONDS else None

    async def run(self, stop: asyncio.Event) -> None:
        """Ask every second, look at our own positions more often, until `stop` is set."""
        next_probe = self._clock.monotonic()
        while not stop.is_set():
            if self._clock.monotonic() >= next_probe:
                next_probe = self._clock.monotonic() + _EVERY
                await self.probe()
            await self.look()
            await self._clock.wait(stop, _LOOK if self._probes else _EVERY / 2)

    async def probe(self) -> None:
        """Ask the neighbours, then the log."""
        asked_at = self._clock.monotonic()
        try:
            ages = await asyncio.gather(*(self._unpublished(name) for name in _SOURCES))
            ends = await self._bus.ends(self._topics)
            begins = await self._bus.beginnings(self._topics)
        except ServiceUnreachable as error:
            self._away = str(error)
            return
        except (BusUnavailable, ValueError):
            # ValueError: its topics are not opened yet, the process has only begun
            self._away = "the event log does not answer"
            return
        self._away = None
        # of a partition whose records are all gone there is nothing to read
        to_read = {partition: end for partition, end in ends.items() if end > begins[partition]}
        self._probes.append(_Probe(asked_at - max(ages), to_read))

    async def look(self) -> None:
        """See which probes our positions have passed."""
        if not self._probes:
            return
        try:
            at = await self._database.read(
                lambda session: positions.stored(session, self._consumer, self._topics)
            )
        except DatabaseUnavailable:
            return
        for probe in list(self._probes):
            if all(at.get(partition, 0) >= end for partition, end in probe.ends.items()):
                self._known = max(self._known, probe.fresh_at)
                self._probes.remove(probe)

    async def _unpublished(self, service: str) -> float:
        answer = await self._neighbours[service].get("/internal/freshness")
        try:
            return max(0.0, float(answer["oldest_unpublished_seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ServiceUnreachable(f"{service}: an answer that can't be read") from error

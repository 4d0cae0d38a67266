"""The consumer runner: reads topics, hands events to a service's handlers, each effect once.

What was fetched together is one transaction: the positions of its partitions move by compare-and-set, then
the handlers run. When that fails by itself each partition is tried alone, then its records one by one, and one
that keeps failing is parked, with what comes behind it under the same key. When the database or the log is
away, the runner waits.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from typing import Any

from sqlmodel import Session

from services.shared.bus import Batch, Bus, BusUnavailable, Partition, Subscription
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import DatabaseUnavailable
from services.shared.events import (
    BadRecord,
    Event,
    Received,
    Record,
    UnknownEvent,
    decode,
    decode_each,
)
from services.shared.runner import parked, positions
from services.shared.telemetry import Telemetry
from services.shared.traffic import Pace, Traffic

log = logging.getLogger(__name__)

Handler = Callable[[Session, Sequence[Received[Any]]], None]
"""Acts on consecutive events, in order, inside the transaction that moves the position."""

_ATTEMPTS = 3
_LIMIT = 2000
_HEAVY = 1000
"""So many bytes more let a record count for one more in a turn."""
_WAIT = 1.0
_STANDSTILL = 15.0


@dataclass(frozen=True)
class ConsumerSpec:
    """What a service reads: handlers by event; consecutive events with the same handler come together."""

    name: str
    topics: tuple[str, ...]
    handlers: Mapping[type[Event], Handler]


class ConsumerRunner:
    """Runs one consumer in one process."""

    def __init__(
        self,
        spec: ConsumerSpec,
        database: Database,
        bus: Bus,
        clock: Clock,
        *,
        member: str,
        telemetry: Telemetry,
        traffic: Traffic | None = None,
    ) -> None:
        self.spec = spec
        self._database = database
        self._bus = bus
        self._clock = clock
        self._member = member
        self._telemetry = telemetry
        self._pace = Pace(traffic or Traffic(clock), clock, most=_LIMIT)
        self._at: dict[Partition, int | None] = {}
        self._moved_at = clock.monotonic()
        self.stopped: str | None = None
        """Why this consumer handles nothing any more (an event of a newer program), else None."""

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; what is being handled is finished."""
        subscription = await self._join(stop)
        if subscription is None:
            return
        closing = asyncio.ensure_future(_close_at(stop, subscription))
        try:
            while not stop.is_set():
                await self._turn(subscription, stop)
        finally:
            if not stop.is_set():
                closing.cancel()
                await subscription.close()
        await closing

    async def _turn(self, subscription: Subscription, stop: asyncio.Event) -> None:
        try:
            batches = await subscription.fetch(self._pace.limit, _WAIT)
            if not batches:
                await self._watch(subscription)
            while batches and not stop.is_set():
                began = await self._pace.enter()
                now, batches, weight = _cut(batches, self._pace.limit)
                await self._take(subscription, now, stop)
                await self._pace.leave(began, weight)
                # nor is what comes behind one that could not be handled, before it is read again
                stuck = {one.partition for one in now if self._at.get(one.partition) != one.next}
                batches = [batch for batch in batches if batch.partition not in stuck]
        except (BusUnavailable, DatabaseUnavailable) as error:
            log.warning("consumer %s waits: %s", self.spec.name, type(error).__name__)
            await self._clock.wait(stop, 1.0)

    async def _join(self, stop: asyncio.Event) -> Subscription | None:
        while not stop.is_set():
            try:
                return await self._bus.subscribe(
                    self.spec.name, self._member, self.spec.topics, self._positions
                )
            except (BusUnavailable, DatabaseUnavailable):
                log.warning("consumer %s can't join yet", self.spec.name)
                await self._clock.wait(stop, 1.0)
        return None

    async def _positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        known = await self._database.read(
            lambda session: positions.stored(session, self.spec.name, self.spec.topics)
        )
        for partition in partitions:
            self._at[partition] = known.get(partition)
        return {partition: known[partition] for partition in partitions if partition in known}

    async def _take(
        self, subscription: Subscription, batches: Sequence[Batch], stop: asyncio.Event
    ) -> None:
        """Handle what was fetched: all in one transaction, each partition alone when that does not work."""
        if len(batches) > 1 and await self._together(batches, stop):
            return
        for batch in batches:
            if stop.is_set():
                return
            await self._handle(subscription, batch, stop)

    async def _together(self, batches: Sequence[Batch], stop: asyncio.Event) -> bool:
        try:
            failure = await self._attempt(lambda s: self._apply(s, *batches), stop)
        except (positions.PositionMoved, UnknownEvent) as reason:
            failure = str(reason)
        except _Stopped:
            return True
        if failure is not None:
            log.warning("consumer %s: a fetch failed: %s", self.spec.name, failure)
            return False
        for batch in batches:
            self._done(batch.partition, batch.next, len(batch.records))
        return True

    async def _handle(self, subscription: Subscription, batch: Batch, stop: asyncio.Event) -> None:
        try:
            await self._divide(batch, stop)
        except positions.PositionMoved:
            log.warning("consumer %s: position of %s was moved", self.spec.name, batch.partition)
            await subscription.seek(batch.partition)
        except UnknownEvent as unknown:
            subscription.pause(batch.partition)
            self.stopped = str(unknown)
            log.error("consumer %s stopped at %s: %s", self.spec.name, batch.partition, unknown)
        except _Stopped:
            return

    async def _divide(self, batch: Batch, stop: asyncio.Event) -> None:
        """Handle a batch; when it fails by itself, its halves, so that few transactions find the culprit."""
        if len(batch.records) == 1:
            await self._handle_alone(batch, stop)
            return
        try:
            failure = await self._attempt(lambda s: self._apply(s, batch), stop)
        except UnknownEvent as unknown:  # what comes before it can be handled
            failure = str(unknown)
        if failure is None:
            self._done(batch.partition, batch.next, len(batch.records))
            return
        log.warning("consumer %s: a batch failed: %s", self.spec.name, failure)
        middle = len(batch.records) // 2
        await self._divide(Batch(batch.partition, batch.records[:middle]), stop)
        await self._divide(Batch(batch.partition, batch.records[middle:]), stop)

    async def _handle_alone(self, single: Batch, stop: asyncio.Event) -> None:
        failure: str | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                await self._clock.sleep(0.02 * 4 ** (attempt - 1))
            failure = await self._attempt(lambda s: self._apply(s, single), stop)
            if failure is None:
                self._done(single.partition, single.next, 1)
                return
        await self._patiently(partial(self._park, single=single, reason=failure), stop)
        self._telemetry.parked.labels(self.spec.name, single.partition.topic).inc()
        log.error("consumer %s parked a record: %s", self.spec.name, failure)
        self._done(single.partition, single.next, 1)

    async def _attempt(self, work: Callable[[Session], None], stop: asyncio.Event) -> str | None:
        """Run `work` as a transaction: None when it is committed, else what was wrong with it."""
        try:
            await self._patiently(work, stop)
        except (positions.PositionMoved, UnknownEvent, _Stopped):
            raise
        except Exception as error:  # noqa: BLE001  # the runner: counted, retried, parked
            return _describe(error)
        return None

    async def _patiently(self, work: Callable[[Session], None], stop: asyncio.Event) -> None:
        """Run `work` as a transaction; wait as long as the database is away."""
        pause = 0.1
        while True:
            try:
                await self._database.transaction(work)
            except DatabaseUnavailable:
                log.warning("consumer %s waits for the database", self.spec.name)
                if await self._clock.wait(stop, pause):
                    raise _Stopped from None
                pause = min(pause * 2, 5.0)
            else:
                return

    def _apply(self, session: Session, *batches: Batch) -> None:
        moves = []
        for batch in batches:
            expected = self._at.get(batch.partition)
            if expected is not None and expected > batch.first:  # records from before a look-up
                raise positions.PositionMoved(batch.partition)
            moves.append((batch.partition, expected, batch.next))
        positions.move_all(session, self.spec.name, moves)
        events: list[Received[Event]] = []
        any_parked = parked.has_any(session, self.spec.name)
        # the events of a topic together: its handlers take longer runs of them
        for batch in sorted(batches, key=lambda batch: batch.partition.topic):
            if any_parked:
                events += self._unparked(session, batch)
            else:
                events += chain.from_iterable(map(decode_each, batch.records))
        self.dispatch(session, events)

    def _unparked(self, session: Session, batch: Batch) -> list[Received[Event]]:
        """The events of a batch, but those that come behind a parked one: these are parked, too."""
        keys = sorted({parked.filed(record.key) for record in batch.records})
        waiting = parked.parked_keys(session, self.spec.name, batch.partition.topic, keys)
        events: list[Received[Event]] = []
        behind: list[Record] = []
        for record in batch.records:
            if parked.filed(record.key) in waiting:
                _require_known(record)
                behind.append(record)
            else:
                events += decode_each(record)
        if behind:
            parked.park(session, self.spec.name, behind, parked.BEHIND, 0, self._clock.now())
        return events

    def dispatch(self, session: Session, events: Sequence[Received[Event]]) -> None:
        """Hand events to their handlers, in order, runs of the same handler together."""
        for handler, run in _runs(self.spec.handlers, events):
            handler(session, run)

    def _park(self, session: Session, single: Batch, reason: str | None) -> None:
        expected = self._at.get(single.partition)
        positions.move(session, self.spec.name, single.partition, expected, single.next)
        parked.park(
            session, self.spec.name, single.records, reason or "", _ATTEMPTS, self._clock.now()
        )

    def _done(self, partition: Partition, position: int, records: int) -> None:
        self._at[partition] = position
        self._moved_at = self._clock.monotonic()
        self._telemetry.handled.labels(self.spec.name, partition.topic).inc(records)

    async def _watch(self, subscription: Subscription) -> None:
        """Begin fetching anew when nothing moves although there is something to read."""
        if self._clock.monotonic() - self._moved_at < _STANDSTILL:
            return
        self._moved_at = self._clock.monotonic()
        lag = await positions.lag(self._database, self._bus, self.spec.name, self.spec.topics)
        ours = subscription.assigned()
        if self.stopped is None and any(n for partition, n in lag.items() if partition in ours):
            log.warning("consumer %s stands still under lag: fetching anew", self.spec.name)
            self._telemetry.refetched.labels(self.spec.name).inc()
            await subscription.restart()

    def at(self, partition: Partition) -> int | None:
        """The position that this consumer has reached in a partition; None before it was looked up."""
        return self._at.get(partition)

    async def replay(self) -> tuple[int, int]:
        """Handle parked records again, in key order; (handled, keys still parked)."""
        handled = stuck = after = 0
        while True:
            heads = await self._database.read(
                partial(parked.oldest_of_each_key, consumer=self.spec.name, after=after)
            )
            if not heads:
                return handled, stuck
            for parked_id, record in heads:
                after = parked_id
                done, stopped = await self._replay_key(parked_id, record)
                handled += done
                stuck += stopped

    async def _replay_key(self, parked_id: int, record: Record) -> tuple[int, bool]:
        """Replay what is parked under one key until one fails; (handled, whether one failed)."""
        handled = 0
        following: tuple[int, Record] | None = (parked_id, record)
        while following is not None:
            if not await self._replay_one(*following):
                return handled, True
            handled += 1
            following = await self._database.read(
                lambda session: parked.oldest_of_key(
                    session, self.spec.name, record.topic, record.key
                )
            )
        return handled, False

    async def _replay_one(self, parked_id: int, record: Record) -> bool:
        def work(session: Session) -> None:
            events = decode_each(record)
            if parked.remove(session, parked_id):
                self.dispatch(session, events)

        try:
            failure = await self._attempt(work, asyncio.Event())
        except UnknownEvent as unknown:
            failure = str(unknown)
        if failure is not None:
            log.warning("a parked record failed again: %s", failure)
        return failure is None


def _cut(batches: Sequence[Batch], limit: int) -> tuple[list[Batch], list[Batch], int]:
    """What fits into a turn, at least one record; what is left; the turn's weight.

    A record that says much counts for several.
    """
    now: list[Batch] = []
    weight = 0
    for place, batch in enumerate(batches):
        for count, record in enumerate(batch.records):
            more = 1 + len(record.value or b"") // _HEAVY
            if weight and weight + more > limit:
                if count:
                    now.append(Batch(batch.partition, batch.records[:count]))
                rest = Batch(batch.partition, batch.records[count:])
                return now, [rest, *batches[place + 1 :]], weight
            weight += more
        now.append(batch)
    return now, [], weight


async def _close_at(stop: asyncio.Event, subscription: Subscription) -> None:
    """Leave the group when told to stop: a fetch that waits for records ends by that."""
    await stop.wait()
    await subscription.close()


def _require_known(record: Record) -> None:
    """Raises `UnknownEvent`: what this program does not know is never parked."""
    with contextlib.suppress(BadRecord):
        decode(record)


class _Stopped(Exception):
    """The process is ending: leave the batch as it is."""


def _runs(
    handlers: Mapping[type[Event], Handler], events: Sequence[Received[Event]]
) -> Iterator[tuple[Handler, list[Received[Event]]]]:
    wanted = [received for received in events if type(received.event) in handlers]
    for handler, run in groupby(wanted, key=lambda received: handlers[type(received.event)]):
        yield handler, list(run)


def _describe(error: Exception) -> str:
    """The kind of an error and, for our own ones, its text; never the text of a driver, which may quote data."""
    name = type(error).__name__
    return f"{name}: {error}" if type(error).__module__.startswith("services.") else name

"""The embedded log: one SQLite file, one partition (number 0) a topic, everything in the loop's thread.

It starts no thread and sets no timer, so it runs under a virtual clock as it does under the real one.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from services.shared.bus.base import (
    Batch,
    BusUnavailable,
    Partition,
    Positions,
    check_size,
)
from services.shared.bus.sqlite_log import LogFile, Row, row
from services.shared.bus.sqlite_tidy import tidy
from services.shared.clock import Clock, to_micros
from services.shared.events import Message

_log = logging.getLogger(__name__)

_SCRUB_STEP = 5_000


class SqliteBus:
    """The log in the file `path`, for one process. `synchronous` other than FULL may lose what was acknowledged."""

    def __init__(self, path: Path, clock: Clock, *, synchronous: str = "FULL") -> None:
        self._clock = clock
        self._file = LogFile(path, synchronous)
        self._waiting: list[tuple[list[Row], asyncio.Future[None]]] = []
        self._groups: dict[str, dict[str, SqliteSubscription]] = {}

    async def start(self, topics: Sequence[str]) -> None:
        self._file.create(topics)

    async def publish(self, messages: Sequence[Message]) -> None:
        """As the contract says; what is published in one turn of the loop is committed together."""
        check_size(messages)
        rows = [row(message) for message in messages]
        for topic in {message.topic for message in messages}:
            self._file.table(topic)
        if not rows:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._commit)
        self._waiting.append((rows, done))
        await done

    async def subscribe(
        self, group: str, member: str, topics: Sequence[str], positions: Positions
    ) -> "SqliteSubscription":
        for topic in topics:
            self._file.table(topic)
        members = self._groups.setdefault(group, {})
        former = members.pop(member, None)
        if former is not None:
            await former.close()
        members = self._groups.setdefault(group, {})
        joined = SqliteSubscription(self, (group, member), frozenset(topics), positions)
        members[member] = joined
        self._share(group)
        return joined

    async def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        return {Partition(topic, 0): self._file.table(topic).next for topic in topics}

    async def beginnings(self, topics: Sequence[str]) -> dict[Partition, int]:
        return {Partition(topic, 0): self._file.beginning(topic) for topic in topics}

    async def scrub(self, topic: str, keys: Sequence[str]) -> bool:
        """As the contract says: the bytes are gone from the file and its write-ahead log."""
        start = self._file.beginning(topic)
        while start < self._file.table(topic).next:
            self._file.scrub(topic, frozenset(keys), start, start + _SCRUB_STEP)
            start += _SCRUB_STEP
            await self._clock.sleep(0)
        self._file.truncate()
        return True

    async def tidy(self) -> None:
        """Delete what is past its retention, and compact: to be called every few minutes.

        It goes in steps of a few milliseconds. What is old is told by the wall clock: do not call it
        while that clock is in doubt. Raises `BusUnavailable`.
        """
        await tidy(self._file, self._clock)

    async def close(self) -> None:
        self._commit()
        self.abandon()

    def abandon(self) -> None:
        """Let go as a crash does: what waits to be written is not. For tests and simulations."""
        waiting, self._waiting = self._waiting, []
        for _, done in waiting:
            if not done.done():
                done.set_exception(BusUnavailable("the log was closed"))
        for members in self._groups.values():
            for member in members.values():
                member.shut()
        self._groups.clear()
        self._file.close()

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def file(self) -> LogFile:
        return self._file

    def leave(self, group: str, member: "SqliteSubscription") -> None:
        """Take a closed subscription out of its group."""
        members = self._groups.get(group, {})
        for name in [name for name, other in members.items() if other is member]:
            del members[name]
        if members:
            self._share(group)
        else:
            self._groups.pop(group, None)

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        failure = "the log's writer failed"
        grown: set[str] = set()
        try:
            rows = [line for lines, _ in waiting for line in lines]
            grown = self._file.append(rows, to_micros(self._clock.now()))
            for _, done in waiting:
                if not done.done():
                    done.set_result(None)
        except BusUnavailable as error:
            failure = str(error)
        finally:
            for _, done in waiting:
                if not done.done():
                    done.set_exception(BusUnavailable(failure))
        for members in self._groups.values():
            for member in members.values():
                member.wake(grown)

    def _share(self, group: str) -> None:
        members = [member for _, member in sorted(self._groups[group].items())]
        shares: dict[SqliteSubscription, set[Partition]] = {member: set() for member in members}
        for index, topic in enumerate(sorted({t for member in members for t in member.topics})):
            readers = [member for member in members if topic in member.topics]
            shares[readers[index % len(readers)]].add(Partition(topic, 0))
        for member, share in shares.items():
            member.assign(frozenset(share))


class SqliteSubscription:
    """A member of a group inside this process. Made by `SqliteBus.subscribe`."""

    def __init__(
        self, bus: SqliteBus, name: tuple[str, str], topics: frozenset[str], positions: Positions
    ) -> None:
        self.topics = topics
        self.gaps = 0
        self._bus = bus
        self._group, self._member = name
        self._positions = positions
        self._places: dict[Partition, int | None] = {}
        self._paused: set[Partition] = set()
        self._turn = 0
        self._moves = 0
        self._woken = asyncio.Event()
        self._closed = False

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._places)

    async def fetch(self, limit: int, wait: float) -> list[Batch]:
        clock = self._bus.clock
        end = clock.monotonic() + wait
        if self._closed:
            raise BusUnavailable("the subscription was closed")
        # A reader that always finds records must let others run too.
        await clock.sleep(0)
        while True:
            self._woken.clear()
            await self._place()
            batches = self._read(limit)
            left = end - clock.monotonic()
            if batches or left <= 0 or self._closed:
                return batches
            await clock.wait(self._woken, left)

    def pause(self, partition: Partition) -> None:
        self._paused.add(partition)

    async def seek(self, partition: Partition) -> None:
        self._paused.discard(partition)
        if partition in self._places:
            self._unplace(partition)

    async def restart(self) -> None:
        for partition in self._places:
            self._unplace(partition)

    async def close(self) -> None:
        self.shut()
        self._bus.leave(self._group, self)

    def shut(self) -> None:
        """Hand out nothing any more."""
        self._closed = True
        self._places.clear()
        self._woken.set()

    def assign(self, share: frozenset[Partition]) -> None:
        """Read these partitions from now on."""
        for partition in self._places.keys() - share:
            del self._places[partition]
        for partition in share - self._places.keys():
            self._unplace(partition)

    def wake(self, topics: set[str]) -> None:
        """Look again: these topics have grown."""
        if not self.topics.isdisjoint(topics):
            self._woken.set()

    def _unplace(self, partition: Partition) -> None:
        self._places[partition] = None
        self._moves += 1
        self._woken.set()

    async def _place(self) -> None:
        while unplaced := [p for p, place in self._places.items() if place is None]:
            moves = self._moves
            stored = await self._positions(unplaced)
            if moves != self._moves:
                continue
            for partition in unplaced:
                if partition in self._places:
                    self._places[partition] = self._begin(partition, stored.get(partition))

    def _begin(self, partition: Partition, stored: int | None) -> int:
        end = self._bus.file.table(partition.topic).next
        if stored is None or stored <= end:
            return stored or 0
        self.gaps += 1
        _log.warning(
            "%s: position %d of %s is not in the log, which ends at %d: reading from the oldest record",
            self._group,
            stored,
            partition.topic,
            end,
        )
        return 0

    def _read(self, limit: int) -> list[Batch]:
        batches = []
        partitions = sorted(self._places.keys() - self._paused)
        # Nobody's records wait for ever behind a topic that never runs dry.
        self._turn += 1
        for index in range(len(partitions)):
            partition = partitions[(index + self._turn) % len(partitions)]
            place = self._places[partition]
            if limit <= 0 or place is None:
                break
            records = self._bus.file.read(partition.topic, place, limit)
            if records:
                batch = Batch(partition, records)
                self._places[partition] = batch.next
                batches.append(batch)
                limit -= len(records)
        return batches

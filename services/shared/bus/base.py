"""The contract of the event log. One suite of tests holds both implementations to it.

A topic has partitions; a key always falls into the same one; a partition is a sequence of records whose
offsets grow (gaps are allowed). Reading does not consume: readers keep their own positions, in their own
databases, and tell a subscription where to begin.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Protocol

from services.shared.events import Message, Record


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


MAX_BYTES = 900_000
"""The most that key, headers and value of one message may take together (a broker takes 1 MiB by default)."""


class BusUnavailable(Exception):
    """The log is away. Nothing can be said about what was being published: publish it again."""


class MessageTooLarge(Exception):
    """A message is over `MAX_BYTES`. Nothing of its batch was published, and trying again will not help."""


def check_size(messages: Sequence[Message]) -> None:
    """Raises `MessageTooLarge`."""
    for message in messages:
        letters = len(message.key) + sum(map(len, chain.from_iterable(message.headers)))
        if 4 * letters + len(message.value or b"") <= MAX_BYTES:
            continue  # at most four bytes a letter
        size = len(message.key.encode()) + len(message.value or b"")
        size += sum(len(name.encode()) + len(text.encode()) for name, text in message.headers)
        if size > MAX_BYTES:
            raise MessageTooLarge(f"{message.topic}: {size} bytes, {MAX_BYTES} are allowed")


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in order, never empty.

    `next` is the position after them.
    """

    partition: Partition
    records: tuple[Record, ...]

    @property
    def first(self) -> int:
        return self.records[0].offset

    @property
    def next(self) -> int:
        return self.records[-1].offset + 1


Positions = Callable[[Sequence[Partition]], Awaitable[dict[Partition, int]]]
"""Looks up stored positions; a partition that is missing from the answer is read from its oldest record."""


class Subscription(Protocol):
    """A member of a group of readers: each partition is read by one member at a time.

    Membership is a hint, not a lock: a member that slept may still hand out records of a partition that
    another one reads by now. What guards effects is the reader's compare-and-set on its position.
    """

    @property
    def gaps(self) -> int:
        """How often a stored position was no longer (or not yet) in the log.

        Each time reading went on at the oldest record, and a warning was logged.
        """
        ...

    def assigned(self) -> frozenset[Partition]:
        """The partitions this member reads now."""
        ...

    async def fetch(self, limit: int, wait: float) -> list[Batch]:
        """Up to about `limit` records, at most one batch a partition; [] after `wait` seconds without any.

        Each call goes on where the last one ended. What `positions` raises comes through, and the next
        call asks again. A call that waits when `close` comes returns []; a later one raises
        `BusUnavailable`. One call at a time.
        """
        ...

    def pause(self, partition: Partition) -> None:
        """Hand out nothing of this partition until `seek`, whoever reads it in between."""
        ...

    async def seek(self, partition: Partition) -> None:
        """Go on at the stored position (looked up anew), also after `pause`.

        Nothing happens to a partition that this member does not read now.
        """
        ...

    async def restart(self) -> None:
        """Begin fetching anew from the stored positions, with new connections."""
        ...

    async def close(self) -> None:
        """Leave the group. Bounded in time, also when the log is away."""
        ...


class Bus(Protocol):
    """The event log."""

    async def start(self, topics: Sequence[str]) -> None:
        """Connect, and make the topics that are missing. Raises `BusUnavailable`: call it again.

        It may be called with more topics later. The other calls take only topics that were started
        (`ValueError`).
        """
        ...

    async def publish(self, messages: Sequence[Message]) -> None:
        """Append, in order per key, durably, before this returns.

        Raises `BusUnavailable`; then any part of them may have been appended, or may yet be. Raises
        `MessageTooLarge`.
        """
        ...

    async def subscribe(
        self, group: str, member: str, topics: Sequence[str], positions: Positions
    ) -> Subscription:
        """Join `group` as `member` (a name that survives a restart)."""
        ...

    async def ends(self, topics: Sequence[str]) -> dict[Partition, int]:
        """The position after the newest record of every partition, as of now. Raises `BusUnavailable`."""
        ...

    async def beginnings(self, topics: Sequence[str]) -> dict[Partition, int]:
        """The position of the oldest record that is still kept. Raises `BusUnavailable`."""
        ...

    async def scrub(self, topic: str, keys: Sequence[str]) -> bool:
        """Make what was said under these keys unreadable at once, if this log can.

        The records stay, with a header `scrubbed` and an empty JSON object as value. False: it can't (Kafka); then it
        goes by tombstone and retention.
        """
        ...

    async def close(self) -> None:
        """Flush and disconnect. Bounded in time."""
        ...

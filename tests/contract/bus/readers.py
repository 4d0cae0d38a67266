"""What a service does with the log, in small: positions of its own, moved by compare-and-set with the effects."""

import sqlite3
import uuid
from collections.abc import Sequence

from services.shared.bus import Batch, Partition
from services.shared.events import Message, Record


class Store:
    """The database of a group of readers: where they stand, and what they have done."""

    def __init__(self) -> None:
        self.effects: list[tuple[str, bytes | None]] = []
        self._database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._database.execute(
            "CREATE TABLE positions (topic, number, next, PRIMARY KEY (topic, number))"
        )

    def put(self, positions: dict[Partition, int]) -> None:
        self._database.executemany(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
            [(*partition, position) for partition, position in positions.items()],
        )

    def get(self, partition: Partition) -> int | None:
        found = self._database.execute(
            "SELECT next FROM positions WHERE topic = ? AND number = ?", partition
        ).fetchone()
        return found[0] if found else None

    def apply(self, batch: Batch, expected: int) -> bool:
        """The effects of a batch and its position, or nothing if somebody else was faster."""
        moved = self._database.execute(
            "UPDATE positions SET next = ? WHERE topic = ? AND number = ? AND next = ?",
            (batch.next, *batch.partition, expected),
        ).rowcount
        if moved:
            self.effects += [(record.key, record.value) for record in batch.records]
        return bool(moved)

    def close(self) -> None:
        self._database.close()


class Reader:
    """One member: it expects its partitions to stand where it last saw them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.lookups = 0
        self._expected: dict[Partition, int] = {}

    async def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self.lookups += 1
        found = {p: at for p in partitions if (at := self.store.get(p)) is not None}
        self._expected |= found
        return found

    def apply(self, batch: Batch) -> bool:
        if not self.store.apply(batch, self._expected[batch.partition]):
            return False
        self._expected[batch.partition] = batch.next
        return True


def new_key() -> str:
    """A key that no other test uses: the topics of a suite are shared."""
    return uuid.uuid4().hex


def numbered(topic: str, key: str, count: int, first: int = 0) -> list[Message]:
    return [Message(topic, key, (), str(number).encode()) for number in range(first, first + count)]


def values(records: Sequence[Record], key: str) -> list[int]:
    return [int(record.value or b"") for record in records if record.key == key]

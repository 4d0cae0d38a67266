"""The file behind the embedded log: a table per topic, appended to at its end.

Everything here runs at once in the calling thread and in short transactions. There is no index on the
key: it would cost six times the speed of appending (a page of the write-ahead log per record), so what
looks for keys (scrubbing, compaction) walks through the table in steps instead.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from services.shared.bus.base import BusUnavailable
from services.shared.database.types import write_json
from services.shared.errors import SetupError
from services.shared.events import Message, Record

FORMAT = 1
SCRUBBED = ("scrubbed", "1")

_OPEN_WAIT = 1.0
_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Row = tuple[str, str, str, bytes | None]


def row(message: Message) -> Row:
    """What is stored of a message: topic, key, headers as JSON, value.

    Raises `UnicodeError` here, at its publisher, and not later at all whose messages are appended with it.
    """
    message.key.encode()
    try:
        headers = write_json(message.headers)
    except ValueError:  # not text: said as Python says it
        headers = _dump(message.headers)
        headers.encode()
    return message.topic, message.key, headers, message.value


@dataclass(slots=True)
class Table:
    """A topic's table. `next` is the offset of the next record; offsets are never used twice.

    Of the records before `clean` only the newest of each key is left, `kept` of them.
    """

    name: str
    number: int
    next: int
    clean: int
    kept: int

    @property
    def rows(self) -> str:
        return f"records_{self.number}"


@dataclass(frozen=True, slots=True)
class Line:
    """What tidying looks at of a record. `at`: integer microseconds."""

    offset: int
    at: int
    key: str
    tombstone: bool


class LogFile:
    """One SQLite file, opened when it is first used, and again after an error of the disk.

    Every method raises `BusUnavailable` when the file can't be read or written.
    """

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        self._path = path
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._tables: dict[str, Table] = {}
        self._closed = False

    def create(self, topics: Sequence[str]) -> None:
        """Make the tables that are missing."""
        with self._transaction() as connection:
            for name in topics:
                made = connection.execute(
                    "INSERT INTO topics (name) VALUES (?) ON CONFLICT DO NOTHING RETURNING number",
                    (name,),
                ).fetchone()
                if made:
                    connection.execute(
                        f"CREATE TABLE records_{made[0]} (position INTEGER PRIMARY KEY,"
                        " at INTEGER NOT NULL, key TEXT NOT NULL, headers TEXT NOT NULL, value BLOB)"
                    )
        with self._reading() as connection:
            self._tables = _load(connection)

    def table(self, topic: str) -> Table:
        """Raises `ValueError` for a topic that was not made."""
        found = self._tables.get(topic)
        if found is None:
            raise ValueError(f"the topic {topic} was not started")
        return found

    def has(self, topic: str) -> bool:
        return topic in self._tables

    def append(self, rows: Sequence[Row], at: int) -> set[str]:
        """Append in one durable transaction; the topics that have grown."""
        by_topic: dict[str, list[tuple[int, int, str, str, bytes | None]]] = {}
        with self._transaction() as connection:
            for topic, key, headers, value in rows:
                lines = by_topic.setdefault(topic, [])
                lines.append((self.table(topic).next + len(lines), at, key, headers, value))
            for topic, lines in by_topic.items():
                connection.executemany(
                    f"INSERT INTO {self.table(topic).rows} VALUES (?, ?, ?, ?, ?)",  # noqa: S608
                    lines,
                )
        for topic, lines in by_topic.items():
            self.table(topic).next += len(lines)
        return set(by_topic)

    def read(self, topic: str, start: int, limit: int) -> tuple[Record, ...]:
        """Up to `limit` records from offset `start` on, in order."""
        table = self.table(topic)
        if start >= table.next:
            return ()
        with self._reading() as connection:
            found = connection.execute(
                "SELECT position, key, headers, value"  # noqa: S608
                f" FROM {table.rows} WHERE position >= ? ORDER BY position LIMIT ?",
                (start, limit),
            ).fetchall()
        return tuple(
            Record(topic, 0, position, key, tuple(map(tuple, from_json(headers))), value)
            for position, key, headers, value in found
        )

    def beginning(self, topic: str) -> int:
        """The offset of the oldest record; of the next one where there is none."""
        table = self.table(topic)
        with self._reading() as connection:
            oldest = connection.execute(
                f"SELECT min(position) FROM {table.rows}"  # noqa: S608
            ).fetchone()[0]
        return table.next if oldest is None else int(oldest)

    def lines(self, topic: str, start: int, limit: int) -> list[Line]:
        """Up to `limit` records from offset `start` on, without what they say."""
        with self._reading() as connection:
            found = connection.execute(
                "SELECT position, at, key, value IS NULL"  # noqa: S608
                f" FROM {self.table(topic).rows} WHERE position >= ? ORDER BY position LIMIT ?",
                (start, limit),
            ).fetchall()
        return [Line(position, at, key, bool(gone)) for position, at, key, gone in found]

    def delete(self, topic: str, offsets: Sequence[int]) -> None:
        """Delete these records for good."""
        table = self.table(topic)
        with self._transaction() as connection:
            connection.execute(
                "UPDATE topics SET next = ? WHERE number = ?", (table.next, table.number)
            )
            connection.executemany(
                f"DELETE FROM {table.rows} WHERE position = ?",  # noqa: S608
                [(offset,) for offset in offsets],
            )

    def set_clean(self, topic: str, clean: int, kept: int) -> None:
        """Note how far compaction has come."""
        table = self.table(topic)
        with self._transaction() as connection:
            connection.execute(
                "UPDATE topics SET clean = ?, kept = ? WHERE number = ?",
                (clean, kept, table.number),
            )
        table.clean, table.kept = clean, kept

    def scrub(self, topic: str, keys: frozenset[str], start: int, stop: int) -> None:
        """Empty the values under these keys in `start` <= offset < `stop`. See `truncate`."""
        table = self.table(topic)
        with self._reading() as connection:
            found = connection.execute(
                f"SELECT position, headers FROM {table.rows}"  # noqa: S608
                " WHERE position >= ? AND position < ? AND value IS NOT NULL"
                " AND key IN (SELECT value FROM json_each(?))",
                (start, stop, _dump(sorted(keys))),
            ).fetchall()
        changed = [
            (_dump([*old, SCRUBBED]), position)
            for position, headers in found
            if list(SCRUBBED) not in (old := json.loads(headers))
        ]
        if changed:
            with self._transaction() as connection:
                connection.executemany(
                    f"UPDATE {table.rows} SET value = x'7b7d', headers = ? WHERE position = ?",  # noqa: S608
                    changed,
                )

    def truncate(self) -> None:
        """Empty the write-ahead log, so that nothing of what was overwritten is left in it."""
        with self._reading() as connection:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise BusUnavailable("somebody else reads the log's file")

    def close(self) -> None:
        """Let go of the file. Every later call raises `BusUnavailable`."""
        self._closed = True
        self._disconnect()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._open()
        except sqlite3.DatabaseError as error:
            self._failed(error)
            raise BusUnavailable(str(error)) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise BusUnavailable("the log was closed")
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, isolation_level=None, timeout=_OPEN_WAIT, cached_statements=256
            )
            try:
                _prepare(connection, self._synchronous)
                if self._tables:
                    self._tables = _load(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _failed(self, error: sqlite3.DatabaseError) -> None:
        # After an error of the disk nobody knows what the open file still remembers.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _PASSING:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._connection.close()
            self._connection = None


def _prepare(connection: sqlite3.Connection, synchronous: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA cache_size = -4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, FORMAT):
        raise SetupError(f"the log's file has format {version}; this program knows {FORMAT}")
    if version == 0:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS topics (number INTEGER PRIMARY KEY,"
            " name TEXT NOT NULL UNIQUE, next INTEGER NOT NULL DEFAULT 1,"
            " clean INTEGER NOT NULL DEFAULT 1, kept INTEGER NOT NULL DEFAULT 0)"
        )
        connection.execute(f"PRAGMA user_version = {FORMAT}")
    # A lock that somebody else holds must not stop the event loop.
    connection.execute("PRAGMA busy_timeout = 20")


def _load(connection: sqlite3.Connection) -> dict[str, Table]:
    tables = {}
    for number, name, following, clean, kept in connection.execute(
        "SELECT number, name, next, clean, kept FROM topics"
    ).fetchall():
        newest = connection.execute(
            f"SELECT max(position) FROM records_{number}"  # noqa: S608
        ).fetchone()[0]
        tables[name] = Table(name, number, max(following, (newest or 0) + 1), clean, kept)
    return tables

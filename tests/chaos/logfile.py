"""The embedded log's file, written to by a case while nobody has it."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from services.shared.events import Message


def append(data: Path, message: Message) -> None:
    """Write a record at the end of its topic."""
    with closing(sqlite3.connect(data / "log.sqlite")) as log, log:
        query = "SELECT number, next FROM topics WHERE name = ?"
        [(number, known)] = log.execute(query, (message.topic,))
        [(last,)] = log.execute(f"SELECT max(position) FROM records_{number}")
        log.execute(
            f"INSERT INTO records_{number} VALUES (?, ?, ?, ?, ?)",
            (
                max(known, (last or 0) + 1),
                time.time_ns() // 1000,
                message.key,
                json.dumps(message.headers),
                message.value,
            ),
        )

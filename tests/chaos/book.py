"""What the system has acknowledged, in a file outside it that only grows."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Book:
    """Written by the load client the moment an answer is there, one write a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.counts = Counter(entry["what"] for entry in entries(path))

    def note(self, what: str, **facts: Any) -> None:
        """Something was acknowledged."""
        line = json.dumps({"what": what, **facts}, ensure_ascii=False)
        os.write(self._file, line.encode() + b"\n")
        self.counts[what] += 1

    def count(self, what: str) -> int:
        """How often something was acknowledged so far."""
        return self.counts[what]

    def close(self) -> None:
        os.close(self._file)


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a book, in order."""
    for line in path.read_text("utf-8").splitlines():
        yield json.loads(line)

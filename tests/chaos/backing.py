"""A real broker and a real database for the scaled mode, shared by all runs of a process.

`make chaos` starts durable ones of its own; tests hand in those that the other component tests use.
"""

import atexit
import contextlib
import functools
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.case import NotHere
from tests.components import kafka, postgres
from tests.components.kafka import Broker, start_shared, stop_shared
from tests.components.postgres import OwnPostgres, PostgresServer, run_apart
from tests.components.processes import free_port
from tests.components.schemas import discover


@dataclass(frozen=True)
class Backing:
    """Where a system of the scaled mode keeps its data. `template` is a database with all tables."""

    server: PostgresServer
    broker: Broker
    template: str
    root: Path | None = None
    """The folder of the brokers, where we have started them ourselves."""

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


@contextlib.contextmanager
def backing(nodes: int = 1, at: str | None = None) -> Iterator[Backing]:
    """One that is there while the block runs; `at` is where broker and database answer. Raises `NotHere`."""
    for missing in (postgres.missing(), kafka.missing()):
        if missing is not None:
            raise NotHere(str(missing))
    os.environ.setdefault("BAITWELL_TEST_OWNER", str(os.getpid()))
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="baitwell-chaos-")))
        server = OwnPostgres(durable=True, also=at)
        stack.callback(server.stop)
        stack.callback(stop_shared, root)
        settings = {"KAFKA_DEV_NODES": str(nodes)}
        if at is not None:
            settings |= _listening_at(root, at)
        broker = start_shared(root, **settings)
        if at is not None:
            broker = Broker(f"{at}:{settings['KAFKA_DEV_PORT']}")
        yield Backing(server, broker, migrated(server), root)


def _listening_at(root: Path, address: str) -> dict[str, str]:
    port = free_port()
    extra = root / "extra.properties"
    extra.write_text(
        f"listeners=PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{port + 100}\n"
        f"advertised.listeners=PLAINTEXT://{address}:{port}\n"
    )
    return {"KAFKA_DEV_PORT": str(port), "KAFKA_DEV_EXTRA": str(extra)}


@functools.cache
def own_backing() -> Backing:
    """The one of this process; it ends with it. Raises `NotHere`."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(backing())


def _listening_java(port: int) -> list[int]:
    return [
        found.pid
        for found in psutil.net_connections("tcp")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
    ]

"""Grounds and whole systems for tests: real SQLite files, the real log, a clock that the test moves or the machine's."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.shared.auth import migrations as auth_migrations
from services.shared.auth.keys import Keys
from services.shared.auth.models import metadata as auth_metadata
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import Clock, SystemClock, VirtualClock
from services.shared.contact import ContactKeys
from services.shared.database import Database, migrations
from services.shared.database.sqlite import SqliteDatabase
from services.shared.ground import Ground
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids
from services.shared.outbox import OUTBOX
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import Embedded, EmbeddedParts, open_embedded
from services.shared.process.kinds import ServiceKind
from services.shared.runner.positions import lag
from services.shared.settings import Settings, load_settings
from services.shared.telemetry import Telemetry
from services.shared.tokens import KeyRing, Tokens
from services.shared.traffic import Traffic

SERVICES = ("capture", "profile", "push", "metrics")
PEPPER = b"a pepper that only tests know"


def kind_of(service: str) -> ServiceKind:
    """The kind of a service."""
    kind: ServiceKind = importlib.import_module(f"services.{service}.app").KIND
    return kind


def sqlite_database(path: Path, service: str) -> SqliteDatabase:
    """A migrated SQLite file of a service (or `auth`)."""
    database = SqliteDatabase(path)
    if service == "auth":
        package, metadata = auth_migrations, auth_metadata
    else:
        kind = kind_of(service)
        package, metadata = kind.migrations, kind.metadata
    with database.writer.begin() as connection:
        if not migrations.check(connection, package):
            migrations.upgrade(connection, package, metadata)
    return database


def make_ground(
    tmp_path: Path,
    service: str,
    settings: type[Settings] | None = None,
    *,
    clock: Clock | None = None,
    database: Database | None = None,
    neighbours: dict[str, InternalClient] | None = None,
    **overrides: Any,
) -> Ground[Any]:
    """The ground of one service on SQLite files under `tmp_path`, by default on a virtual clock."""
    clock = clock or VirtualClock()
    ids = Ids(clock)
    tmp_path.mkdir(parents=True, exist_ok=True)
    loaded = load_settings(settings or kind_of(service).settings, service, **overrides)
    return Ground(
        service=service,
        member=f"{service}-1",
        settings=loaded,
        clock=clock,
        ids=ids,
        database=database or sqlite_database(tmp_path / f"{service}.sqlite", service),
        bus=SqliteBus(tmp_path / "log.sqlite", clock),
        tokens=Tokens(KeyRing.parse("1:a secret that only tests know")),
        contact_keys=ContactKeys(PEPPER),
        keys=Keys(sqlite_database(tmp_path / "auth.sqlite", "auth"), clock, ids),
        telemetry=Telemetry(CollectorRegistry()),
        neighbours=neighbours if neighbours is not None else {},
        traffic=Traffic(clock),
    )


async def close_ground(ground: Ground[Any]) -> None:
    """Let go of a ground's files."""
    await ground.bus.close()
    await ground.database.close()
    await ground.keys._database.close()


@dataclass
class System:
    """A whole embedded system that runs in the test's loop."""

    embedded: Embedded
    client: httpx.AsyncClient
    admin_key: str
    clock: Clock

    @property
    def grounds(self) -> dict[str, Ground[Any]]:
        return self.embedded.grounds

    @property
    def admin(self) -> dict[str, str]:
        """Headers of a caller with every scope."""
        return {"authorization": f"Bearer {self.admin_key}"}

    async def settle(self, seconds: float = 20.0) -> None:
        """Wait until every outbox is empty and no consumer lags, twice in a row."""
        calm = 0
        deadline = asyncio.get_running_loop().time() + seconds
        while calm < 2:
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not settled after {seconds} s: {await self._pending()}")
            calm = 0 if await self._pending() else calm + 1
            await asyncio.sleep(0.02)

    async def _pending(self) -> dict[str, int]:
        pending: dict[str, int] = {}
        for name, ground in self.grounds.items():
            rows = await ground.database.read(lambda s: len(s.execute(OUTBOX.select()).all()))
            if rows:
                pending[f"{name} outbox"] = rows
            engine = self.embedded.apps[name].state.engine
            if not engine.log_ready.is_set():
                pending[f"{name} start"] = 1
                continue
            consumer = engine.consumer
            if consumer is None:
                continue
            behind = await lag(
                ground.database, ground.bus, consumer.spec.name, consumer.spec.topics
            )
            if any(behind.values()):
                pending[f"{name} lag"] = sum(behind.values())
        return pending


@asynccontextmanager
async def embedded_system(
    tmp_path: Path, *, clock: Clock | None = None, **overrides: Any
) -> AsyncIterator[System]:
    """Everything in one process, in this loop, on the machine's clock unless another is given."""
    clock = clock or SystemClock()
    overrides = {"public_url": "http://testserver", "data": tmp_path / "data", **overrides}
    settings = load_settings(Settings, **overrides)
    directory = DataDirectory(settings.data)
    directory.open()
    kinds = tuple(kind_of(service) for service in SERVICES)
    embedded = open_embedded(kinds, settings, directory, EmbeddedParts(clock, overrides))
    own = embedded.front._own
    async with own.router.lifespan_context(own):  # type: ignore[attr-defined]
        key = await embedded.first_key() or await embedded.keys.create("test", ["admin"])
        transport = httpx.ASGITransport(app=embedded.front)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            yield System(embedded, client, key, clock)

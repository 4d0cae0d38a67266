"""Opens what commands work on: the stores of an installation that may be running at the same time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from services.shared.auth.keys import Keys
from services.shared.bus import Bus
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.database import Database, migrations
from services.shared.database.postgres import PostgresDatabase
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import SetupError
from services.shared.ids import Ids
from services.shared.process.directory import DataDirectory
from services.shared.process.grounds import lay, secret
from services.shared.process.kinds import ServiceKind
from services.shared.process.scaled import AUTH, open_kafka
from services.shared.runner.consumer import ConsumerRunner
from services.shared.settings import Settings, load_settings


@dataclass(frozen=True)
class Stores:
    """The databases by service, the log, and the keys."""

    databases: dict[str, Database]
    bus: Bus
    keys: Keys


@asynccontextmanager
async def open_stores(kinds: Sequence[ServiceKind], settings: Settings) -> AsyncIterator[Stores]:
    """Open every store of an installation. Raises `SetupError` where there is none."""
    clock = SystemClock()
    names = [AUTH, *(kind.name for kind in kinds)]
    databases: dict[str, Database] = {}
    bus: Bus
    if settings.scaled:
        url = secret(settings.database_url, "BAITWELL_DATABASE_URL")
        databases = {name: PostgresDatabase(url, name, clock, pool=2) for name in names}
        bus = open_kafka(settings, "command", clock)
    else:
        directory = DataDirectory(settings.data)
        missing = [name for name in names if not directory.file(name).exists()]
        if missing:
            raise SetupError(
                f"there is no installation in {settings.data}: start one, or set BAITWELL_DATA"
            )
        databases = {name: SqliteDatabase(directory.file(name)) for name in names}
        bus = SqliteBus(directory.file("log"), clock)
    auth = databases.pop(AUTH)
    try:
        yield Stores(databases, bus, Keys(auth, clock, Ids(clock)))
    finally:
        await bus.close()
        for database in (auth, *databases.values()):
            await database.close()


def replayer(kind: ServiceKind, stores: Stores, settings: Settings) -> ConsumerRunner | None:
    """The consumer of a service, to replay its parked records with; None when it has none."""
    clock = SystemClock()
    made = None if settings.scaled else DataDirectory(settings.data).secrets()
    footing = lay(settings, made, clock, stores.bus, stores.keys, {})
    own_settings = load_settings(kind.settings, kind.name)
    ground = footing.ground(kind.name, "command", own_settings, stores.databases[kind.name])
    spec = kind.build(ground).consumer
    if spec is None:
        return None
    return ConsumerRunner(
        spec, ground.database, stores.bus, clock, member="command", telemetry=footing.telemetry
    )


async def revision_of(database: Database, kind: ServiceKind) -> str:
    """One word on the schema of a service: `current`, or why it is not."""

    def check(connection: Connection) -> str:
        if migrations.check(connection, kind.migrations):
            return "current"
        return "older than this program: run `migrate`"

    return await database.read(lambda session: check(session.connection()))

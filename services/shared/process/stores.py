"""Opens what commands work on: the stores of an installation that may be running at the same time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from sqlalchemy import Connection

from services.shared.auth.keys import Keys
from services.shared.bus import Bus
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.contact import ContactKeys
from services.shared.database import Database, migrations
from services.shared.database.postgres import PostgresDatabase
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import SetupError
from services.shared.ground import Ground
from services.shared.ids import Ids
from services.shared.process.directory import DataDirectory
from services.shared.process.kinds import ServiceKind
from services.shared.process.scaled import AUTH, open_kafka, secret
from services.shared.runner.consumer import ConsumerRunner
from services.shared.settings import Settings, load_settings
from services.shared.telemetry import Telemetry
from services.shared.tokens import KeyRing, Tokens
from services.shared.traffic import Traffic


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
    if settings.scaled:
        ring = secret(settings.secret_keys, "BAITWELL_SECRET_KEYS")
        pepper = secret(settings.contact_key, "BAITWELL_CONTACT_KEY")
    else:
        made = DataDirectory(settings.data).secrets()
        ring, pepper = made.secret_keys, made.contact_key
        ring = settings.secret_keys.get_secret_value() if settings.secret_keys else ring
        pepper = settings.contact_key.get_secret_value() if settings.contact_key else pepper
    telemetry = Telemetry(CollectorRegistry())
    ground: Ground[Settings] = Ground(
        service=kind.name,
        member="command",
        settings=load_settings(kind.settings, kind.name),
        clock=clock,
        ids=Ids(clock),
        database=stores.databases[kind.name],
        bus=stores.bus,
        tokens=Tokens(KeyRing.parse(ring)),
        contact_keys=ContactKeys(pepper.encode()),
        keys=stores.keys,
        telemetry=telemetry,
        neighbours={},
        traffic=Traffic(clock),
    )
    spec = kind.build(ground).consumer
    if spec is None:
        return None
    return ConsumerRunner(
        spec, ground.database, stores.bus, clock, member="command", telemetry=telemetry
    )


async def revision_of(database: Database, kind: ServiceKind) -> str:
    """One word on the schema of a service: `current`, or why it is not."""

    def check(connection: Connection) -> str:
        if migrations.check(connection, kind.migrations):
            return "current"
        return "older than this program: run `migrate`"

    return await database.read(lambda session: check(session.connection()))

"""One service in one process, on PostgreSQL and Kafka."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError

from services.shared.app import create_app
from services.shared.auth import migrations as auth_migrations
from services.shared.auth.keys import Keys
from services.shared.auth.models import metadata as auth_metadata
from services.shared.bus.kafka import KafkaBus, KafkaSecurity
from services.shared.clock import SystemClock
from services.shared.database import migrations
from services.shared.database.postgres import PostgresDatabase
from services.shared.errors import SetupError
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids
from services.shared.process.grounds import lay, secret
from services.shared.process.kinds import ServiceKind
from services.shared.settings import Settings, load_settings

AUTH = "auth"


async def open_scaled(
    kind: ServiceKind, member: str, overrides: Mapping[str, Any] | None = None
) -> FastAPI:
    """Build the app of one service. Raises `SetupError` when its schema is too old or too new."""
    settings = load_settings(kind.settings, kind.name, **(overrides or {}))
    url = secret(settings.database_url, "BAITWELL_DATABASE_URL")
    internal_key = secret(settings.internal_key, "BAITWELL_INTERNAL_KEY")
    clock = SystemClock()
    database = PostgresDatabase(url, kind.name, clock, pool=settings.database_pool)
    auth_database = PostgresDatabase(url, AUTH, clock, pool=2)
    await _require_current(database, kind.migrations)
    await _require_current(auth_database, auth_migrations)
    keys = Keys(auth_database, clock, Ids(clock))
    bus = open_kafka(settings, member, clock)
    neighbours = {
        name: InternalClient(getattr(settings, f"{name}_url"), internal_key)
        for name in ("capture", "profile", "push", "metrics")
    }
    footing = lay(settings, None, clock, bus, keys, neighbours)
    ground = footing.ground(kind.name, member, settings, database)
    app = create_app(kind.build(ground), ground)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(running: FastAPI) -> AsyncIterator[None]:
        await keys.ensure("internal calls", ["internal"], internal_key)
        async with inner(running):
            yield
        for client in neighbours.values():
            await client.close()
        await bus.close()
        await database.close()
        await auth_database.close()

    app.router.lifespan_context = lifespan
    return app


def open_kafka(settings: Settings, member: str, clock: SystemClock) -> KafkaBus:
    """The bus that the settings name."""
    password = settings.kafka_security_password
    security = KafkaSecurity(
        protocol=settings.kafka_security_protocol,
        ca=settings.kafka_security_ca,
        mechanism=settings.kafka_security_mechanism,
        username=settings.kafka_security_username,
        password=password.get_secret_value() if password else None,
    )
    return KafkaBus(
        settings.kafka_servers or "",
        clock,
        prefix=settings.kafka_prefix,
        replication=settings.kafka_replication,
        security=security,
        client_id=member,
    )


async def migrate_all(kinds: Sequence[ServiceKind], settings: Settings) -> list[str]:
    """Bring every schema to the newest revision; the names of those that were changed."""
    url = secret(settings.database_url, "BAITWELL_DATABASE_URL")
    stores: list[tuple[str, ModuleType, MetaData]] = [
        (AUTH, auth_migrations, auth_metadata),
        *((kind.name, kind.migrations, kind.metadata) for kind in kinds),
    ]
    changed = []
    for name, package, metadata in stores:
        database = PostgresDatabase(url, name, SystemClock(), pool=1)
        try:
            if await _migrate(database, name, package, metadata):
                changed.append(name)
        finally:
            await database.close()
    return changed


async def _migrate(
    database: PostgresDatabase, schema: str, package: ModuleType, metadata: MetaData
) -> bool:
    def work(connection: Connection) -> bool:
        connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
        if migrations.check(connection, package):
            return False
        migrations.upgrade(connection, package, metadata)
        return True

    async with database.engine.begin() as connection:
        return await connection.run_sync(work)


async def _require_current(database: PostgresDatabase, package: ModuleType) -> None:
    try:
        async with database.engine.connect() as connection:
            current = await connection.run_sync(lambda c: migrations.check(c, package))
    except (OSError, DBAPIError) as error:
        raise SetupError(
            "PostgreSQL does not answer: is BAITWELL_DATABASE_URL right, and does it run?"
        ) from error
    if not current:
        raise SetupError(
            "the database is from an older version: run `python -m services migrate` first"
        )

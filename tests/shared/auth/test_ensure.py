"""A key that every process makes sure of when it starts."""

import asyncio
from pathlib import Path

from services.shared.auth.keys import Keys
from services.shared.clock import SystemClock
from services.shared.database.postgres import PostgresDatabase
from services.shared.ids import Ids
from tests.ground import sqlite_database

SECRET = "bwi_a secret that all services were told"


async def test_four_processes_that_start_at_once_make_one_key(migrated_postgres_url: str) -> None:
    clock = SystemClock()
    databases = [PostgresDatabase(migrated_postgres_url, "auth", clock, pool=1) for _ in range(4)]
    keys = [Keys(database, clock, Ids(clock)) for database in databases]
    await asyncio.gather(*(one.ensure("internal calls", ["internal"], SECRET) for one in keys))
    assert [key.name for key in await keys[0].listing()] == ["internal calls"]
    assert (await keys[1].caller(SECRET)).may("internal")
    for database in databases:
        await database.close()


async def test_a_second_start_makes_no_second_key(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "auth.sqlite", "auth")
    clock = SystemClock()
    keys = Keys(database, clock, Ids(clock))
    for _ in range(2):
        await keys.ensure("internal calls", ["internal"], SECRET)
    assert len(await keys.listing()) == 1
    assert (await keys.caller(SECRET)).scopes == frozenset({"internal"})
    await database.close()

"""The commands on API keys. They open the auth store and nothing else."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID

from services.shared.auth.keys import SCOPES, Keys, Scope
from services.shared.clock import SystemClock
from services.shared.database import Database
from services.shared.database.sqlite import SqliteDatabase
from services.shared.errors import SetupError
from services.shared.ids import Ids
from services.shared.process.directory import DataDirectory
from services.shared.settings import Settings

_STORE = "auth"


async def create(settings: Settings, name: str, scopes: Sequence[str]) -> int:
    """Make a key and show it, this once."""
    wrong = [scope for scope in scopes if scope not in SCOPES]
    if wrong:
        raise SetupError(f"no scope is called {wrong[0]}; there are: {', '.join(SCOPES)}")
    async with open_keys(settings) as keys:
        secret = await keys.create(name, [cast("Scope", scope) for scope in scopes])
    _say(secret)
    return 0


async def show(settings: Settings) -> int:
    """List keys: id, name, scopes, and whether they are revoked."""
    async with open_keys(settings) as keys:
        for key in await keys.listing():
            state = "revoked" if key.revoked_at else "valid"
            _say(f"{key.id}  {state:8} {','.join(key.scopes):20} {key.name}")
    return 0


async def revoke(settings: Settings, key_id: str) -> int:
    """Revoke a key."""
    try:
        id_ = UUID(key_id)
    except ValueError as error:
        raise SetupError("a key's id looks like those that `keys list` shows") from error
    async with open_keys(settings) as keys:
        if not await keys.revoke(id_):
            raise SetupError("there is no valid key with that id")
    _say("revoked; services forget it within 5 seconds")
    return 0


@asynccontextmanager
async def open_keys(settings: Settings) -> AsyncIterator[Keys]:
    """The keys of an installation, which may be running. Raises `SetupError` where there is none."""
    clock = SystemClock()
    database = _database(settings, clock)
    try:
        yield Keys(database, clock, Ids(clock))
    finally:
        await database.close()


def _database(settings: Settings, clock: SystemClock) -> Database:
    if settings.scaled:
        # imported here: one machine has no use for PostgreSQL
        from services.shared.database.postgres import PostgresDatabase

        if settings.database_url is None:
            raise SetupError("BAITWELL_DATABASE_URL must be set")
        return PostgresDatabase(settings.database_url.get_secret_value(), _STORE, clock, pool=2)
    file = DataDirectory(settings.data).file(_STORE)
    if not file.exists():
        raise SetupError(
            f"there is no installation in {settings.data}: start one, or set BAITWELL_DATA"
        )
    return SqliteDatabase(file)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")

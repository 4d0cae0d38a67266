"""The suite runs once per implementation, SQLite in both of its modes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.shared.database import Database
from tests.contract.database.stands import (
    FullDisk,
    LockedFile,
    Outage,
    PostgresStand,
    SqliteStand,
    Stand,
    StoppedServer,
)

ALL = ["sqlite", "sqlite-thread", pytest.param("postgres", marks=pytest.mark.needs_postgres)]
OUTAGES = ["locked", "full", pytest.param("stopped", marks=pytest.mark.needs_postgres)]


@pytest.fixture(params=ALL)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    made: Stand
    if request.param == "postgres":
        made = PostgresStand(request.getfixturevalue("postgres_url"))
    else:
        made = SqliteStand(tmp_path, writer_thread=request.param == "sqlite-thread")
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def database(stand: Stand) -> Database:
    return stand.database


@pytest.fixture(params=OUTAGES)
async def outage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Outage]:
    made: Outage
    if request.param == "stopped":
        made = StoppedServer()
    else:
        made = (LockedFile if request.param == "locked" else FullDisk)(tmp_path)
    await made.stand.open()
    yield made
    await made.close()

"""One ledger suite over both databases."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.shared.clock import SystemClock, VirtualClock
from services.shared.database import Database
from services.shared.database.postgres import PostgresDatabase
from tests.ground import sqlite_database
from tests.push.deliveries.rig import LedgerRig


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
async def database(request: Any, tmp_path: Path) -> AsyncIterator[Database]:
    """Push's tables, empty, in each of the two databases."""
    made: Database
    if request.param == "sqlite":
        made = sqlite_database(tmp_path / "push.sqlite", "push")
    else:
        url = request.getfixturevalue("migrated_postgres_url")
        made = PostgresDatabase(url, "push", SystemClock())
    yield made
    await made.close()


@pytest.fixture
def rig(database: Database) -> LedgerRig:
    return LedgerRig(database, VirtualClock())

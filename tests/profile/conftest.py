"""The bench on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.shared.clock import SystemClock
from services.shared.database.postgres import PostgresDatabase
from tests.profile.bench import Bench, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Profile on SQLite."""
    async with open_bench(tmp_path) as opened:
        yield opened


@pytest.fixture
async def postgres_bench(tmp_path: Path, migrated_postgres_url: str) -> AsyncIterator[Bench]:
    """Profile on PostgreSQL."""
    database = PostgresDatabase(migrated_postgres_url, "profile", SystemClock())
    async with open_bench(tmp_path, database) as opened:
        yield opened


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def both(request: pytest.FixtureRequest) -> Bench:
    """Profile on each of the two databases."""
    name = "bench" if request.param == "sqlite" else "postgres_bench"
    found: Bench = request.getfixturevalue(name)
    return found

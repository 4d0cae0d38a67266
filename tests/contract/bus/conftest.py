"""The suite runs once per implementation; the brokers' part has one prefix, since topics take a second to make."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.shared.bus import Bus
from tests.components.kafka import Broker
from tests.contract.bus.stands import (
    KafkaStand,
    KilledBroker,
    LockedFile,
    Outage,
    SqliteStand,
    Stand,
)

BOTH = ["sqlite", pytest.param("kafka", marks=pytest.mark.needs_kafka)]


@pytest.fixture(scope="session")
def bus_prefix(kafka: Broker) -> str:
    return kafka.new_prefix()


@pytest.fixture(params=BOTH)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    made: Stand
    if request.param == "kafka":
        broker = request.getfixturevalue("kafka")
        made = KafkaStand(broker.bootstrap, request.getfixturevalue("bus_prefix"))
    else:
        made = SqliteStand(tmp_path / "log.db")
    yield made
    await made.close()


@pytest.fixture
async def bus(stand: Stand) -> Bus:
    return await stand.bus()


@pytest.fixture(params=BOTH)
async def outage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Outage]:
    made = KilledBroker(tmp_path) if request.param == "kafka" else LockedFile(tmp_path / "log.db")
    yield made
    await made.close()

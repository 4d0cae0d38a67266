"""The gate before a full outbox."""

from pathlib import Path

import pytest

from services.capture.leads.gate import OutboxGate
from services.shared.clock import VirtualClock
from services.shared.errors import Unavailable
from services.shared.traffic import Traffic
from tests.ground import sqlite_database


async def test_while_a_crowd_is_refused_who_empties_the_outbox_does_not_step_aside(
    tmp_path: Path,
) -> None:
    """Found by R18: the refused asked again so fast that the outbox stayed full."""
    clock = VirtualClock()
    traffic = Traffic(clock)
    database = sqlite_database(tmp_path / "capture.sqlite", "capture")
    gate = OutboxGate(database, clock, 100, traffic)
    for _ in range(100):
        traffic.began()
    assert traffic.pressure == 1.0
    gate.wrote(100)
    with pytest.raises(Unavailable) as refused:
        gate.check()
    assert refused.value.retry_after
    assert traffic.pressure == 0.0
    await database.close()

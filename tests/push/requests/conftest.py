from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.shared.clock import VirtualClock
from tests.ground import sqlite_database
from tests.push.deliveries.rig import LedgerRig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(sqlite_database(tmp_path / "push.sqlite", "push"), VirtualClock())
    yield rig
    await rig.database.close()

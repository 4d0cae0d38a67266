"""A running capture for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.capture.system import CaptureSystem, capture_system


@pytest.fixture
async def capture(tmp_path: Path) -> AsyncIterator[CaptureSystem]:
    """Capture with its sample bait, on the machine's clock."""
    async with capture_system(tmp_path) as system:
        yield system

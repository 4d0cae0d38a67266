"""A running system whose mail stays in its mailbox, and its callers."""

from collections.abc import Iterator

import httpx
import pytest

from tests.components.waiting import PATIENCE
from tests.e2e.systems import Embedded


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """One for the tests of a module."""
    system = Embedded(tmp_path_factory.mktemp("live"))
    system.start()
    try:
        yield system
    finally:
        system.kill()


@pytest.fixture
def public(live: Embedded) -> Iterator[httpx.Client]:
    """Anybody."""
    with httpx.Client(base_url=live.url, trust_env=False, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def admin(live: Embedded) -> Iterator[httpx.Client]:
    """The operator."""
    with httpx.Client(
        base_url=live.url, headers=live.admin, trust_env=False, timeout=PATIENCE
    ) as client:
        yield client

"""What is forgotten when it is old, and what stays."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.push.deliveries.repository import TRACE
from services.push.deliveries.tidying import Tidy
from services.push.policy.service import Policy
from services.push.policy.service import Rules as PolicyRules
from services.push.settings import PushSettings
from services.shared.clock import VirtualClock
from services.shared.ids import derived
from tests.ground import sqlite_database
from tests.push.deliveries.rig import SHANGHAI, LedgerRig

DAY = timedelta(days=1)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(sqlite_database(tmp_path / "push.sqlite", "push"), VirtualClock())
    yield rig
    await rig.database.close()


async def decide(rig: LedgerRig, how_many: int, reason: str) -> None:
    """That many decisions at this moment."""
    line = {"at": rig.clock.now(), "state": "held", "reason": reason, "attempt": 0}
    rows = [line | {"delivery_id": derived(reason, number)} for number in range(how_many)]
    await rig.database.transaction(lambda s: s.execute(TRACE.insert(), rows))


async def left(rig: LedgerRig) -> dict[str | None, int]:
    found: dict[str | None, int] = {}
    for _, reason in await rig.lines():
        found[reason] = found.get(reason, 0) + 1
    return found


async def test_decisions_are_forgotten_when_they_are_old(rig: LedgerRig):
    await decide(rig, 2500, "old")
    rig.clock.advance(31 * 86_400)
    await decide(rig, 10, "new")
    policy = Policy(PolicyRules(SHANGHAI))
    await Tidy(rig.database, rig.clock, policy, trace_kept=None).once()
    assert await left(rig) == {"old": 2500, "new": 10}
    await Tidy(rig.database, rig.clock, policy, trace_kept=30 * DAY).once()
    assert await left(rig) == {"new": 10}


async def test_newer_ones_with_lower_numbers_hide_no_old_ones(rig: LedgerRig):
    """Written while the clock stood ahead."""
    rig.clock.advance(31 * 86_400)
    await decide(rig, 1500, "new")
    rig.clock.jump(-31 * DAY)
    await decide(rig, 1500, "old")
    rig.clock.jump(31 * DAY)
    policy = Policy(PolicyRules(SHANGHAI))
    await Tidy(rig.database, rig.clock, policy, trace_kept=30 * DAY).once()
    assert await left(rig) == {"new": 1500}


def test_zero_days_keep_them_for_good():
    assert PushSettings(trace_days=0).trace_kept is None
    assert PushSettings().trace_kept == 90 * DAY

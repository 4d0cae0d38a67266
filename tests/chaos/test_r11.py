"""R11 in its short form: a poison record is parked in order, others flow, an outage parks nothing."""

from pathlib import Path

import pytest

from tests.chaos.case import Trial
from tests.chaos.cases import r11_poison

SEED = 20261123


@pytest.mark.timeout(120)
async def test_a_poison_record_is_parked_and_replayed_in_order(tmp_path: Path) -> None:
    verdict = await r11_poison.CASE.run(Trial(tmp_path, SEED, "test", "embedded"))
    assert verdict.ok, verdict.line()
    assert verdict.accepted == 80

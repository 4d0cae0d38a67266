"""R13 in its short form: 200 identical posts at once, a crash in between, another body."""

from pathlib import Path

import pytest

from tests.chaos.case import Trial
from tests.chaos.cases import r13_once

SEED = 20261123


@pytest.mark.timeout(120)
async def test_a_key_is_one_lead_with_one_answer(tmp_path: Path) -> None:
    verdict = await r13_once.CASE.run(Trial(tmp_path, SEED, "test", "embedded"))
    assert verdict.ok, verdict.line()
    assert verdict.kills == 2
    assert verdict.accepted == 4

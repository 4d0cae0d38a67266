"""R10 in its short form: the whole log handled again, and what is derived made anew, change nothing."""

from pathlib import Path

import pytest

from tests.chaos.case import Trial
from tests.chaos.cases import r10_again

SEED = 20261123


@pytest.mark.timeout(120)
async def test_nothing_changes_when_everything_is_handled_again(tmp_path: Path) -> None:
    verdict = await r10_again.CASE.run(Trial(tmp_path, SEED, "test", "embedded"))
    assert verdict.ok, verdict.line()
    assert verdict.handled > verdict.accepted

"""R1 in the form that fits here: people leave contacts while it is killed; `make chaos` has the long ones."""

import pytest

from tests.chaos import crash
from tests.chaos.case import Mode
from tests.chaos.cases import r1_crashes
from tests.chaos.conftest import MODES, MakeTrial

# What a saboteur needs to be noticed, and no more.
ONCE = crash.Size(80, 0, 1, 0, lanes=2)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
async def test_nothing_accepted_is_lost_and_nothing_doubled(mode: Mode, trial: MakeTrial) -> None:
    verdict = await r1_crashes.CASE.run(trial(mode))
    assert verdict.ok, verdict.line()
    assert verdict.kills >= 1
    assert verdict.accepted >= r1_crashes.SIZES["test"].submissions * 0.9


@pytest.mark.timeout(300)
async def test_an_answer_before_the_commit_is_noticed(trial: MakeTrial) -> None:
    verdict = await crash.run("R1", trial("embedded", "early-answer"), ONCE)
    assert verdict.lost > 0, verdict.line()

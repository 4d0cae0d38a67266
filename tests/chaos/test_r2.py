"""R2 in the form that fits here: what sends a campaign is killed; `make chaos` has the long ones."""

import pytest

from tests.chaos import crash
from tests.chaos.case import Mode
from tests.chaos.cases import r2_campaign
from tests.chaos.conftest import MODES, MakeTrial

# What a saboteur needs to be noticed, and no more.
ONCE = crash.Size(90, 60, 0, 1, lanes=4, delay=0.05)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", MODES)
async def test_everybody_gets_the_campaign_once_or_is_unknown(mode: Mode, trial: MakeTrial) -> None:
    verdict = await r2_campaign.CASE.run(trial(mode))
    assert verdict.ok, verdict.line()
    assert verdict.kills == 1
    assert verdict.recipients >= r2_campaign.SIZES["test"].recipients


@pytest.mark.timeout(300)
async def test_sending_again_when_in_doubt_is_noticed(trial: MakeTrial) -> None:
    verdict = await crash.run("R2", trial("embedded", "second-sending"), ONCE)
    assert verdict.messages_doubled > 0, verdict.line()

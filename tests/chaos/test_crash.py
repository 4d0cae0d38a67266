"""The crash test in its short form: `kill -9`, restart, and the checker; `make chaos` has the long one."""

from pathlib import Path

import pytest

from tests.chaos import crash

SEED = 20261123

# What a saboteur needs to be noticed, and no more.
SUBMISSIONS = crash.Size(200, 0, 2, 0, lanes=2)
CAMPAIGN = crash.Size(120, 120, 0, 1, lanes=4, delay=0.05)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    verdict = await crash.run(tmp_path, SEED, crash.SHORT)
    assert verdict.ok, verdict.line()
    assert verdict.kills >= 2
    assert verdict.accepted >= crash.SHORT.submissions * 0.9
    assert verdict.recipients >= crash.SHORT.recipients


@pytest.mark.timeout(300)
async def test_an_answer_before_the_commit_is_noticed(tmp_path: Path) -> None:
    verdict = await crash.run(tmp_path, SEED, SUBMISSIONS, "early-answer")
    assert verdict.lost > 0, verdict.line()


@pytest.mark.timeout(300)
async def test_sending_again_when_in_doubt_is_noticed(tmp_path: Path) -> None:
    verdict = await crash.run(tmp_path, SEED, CAMPAIGN, "second-sending")
    assert verdict.messages_doubled > 0, verdict.line()

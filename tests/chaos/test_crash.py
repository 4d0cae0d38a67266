"""The crash test in its short form: `kill -9`, restart, and the checker; `make chaos` has the long one."""

from pathlib import Path

import pytest

from tests.chaos import crash
from tests.chaos.case import Trial

SEED = 20261123

# What a saboteur needs to be noticed, and no more.
SUBMISSIONS = crash.Size(200, 0, 2, 0, lanes=2)
CAMPAIGN = crash.Size(120, 120, 0, 1, lanes=4, delay=0.05)


def trial(folder: Path, saboteur: str | None = None) -> Trial:
    return Trial(folder, SEED, "test", "embedded", saboteur)


@pytest.mark.timeout(300)
async def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    verdict = await crash.run("crash", trial(tmp_path), crash.SHORT)
    assert verdict.ok, verdict.line()
    assert verdict.kills >= 2
    assert verdict.accepted >= crash.SHORT.submissions * 0.9
    assert verdict.recipients >= crash.SHORT.recipients


@pytest.mark.timeout(300)
async def test_an_answer_before_the_commit_is_noticed(tmp_path: Path) -> None:
    verdict = await crash.run("R1", trial(tmp_path, "early-answer"), SUBMISSIONS)
    assert verdict.lost > 0, verdict.line()


@pytest.mark.timeout(300)
async def test_sending_again_when_in_doubt_is_noticed(tmp_path: Path) -> None:
    verdict = await crash.run("R2", trial(tmp_path, "second-sending"), CAMPAIGN)
    assert verdict.messages_doubled > 0, verdict.line()

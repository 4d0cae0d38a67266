"""R2: `kill -9` at random moments of a campaign."""

from tests.chaos import crash
from tests.chaos.case import Case, Form, Trial
from tests.chaos.verdict import Verdict

SIZES: dict[Form, crash.Size] = {
    "test": crash.Size(125, 90, 0, 1, lanes=2, pushing="push"),
    "short": crash.Size(2000, 2000, 0, 6, lanes=4, pushing="push"),
    "full": crash.Size(20000, 20000, 0, 24, lanes=10, pushing="push"),
}


async def _run(trial: Trial) -> Verdict:
    return await crash.run("R2", trial, SIZES[trial.form])


CASE = Case(
    "R2",
    "kill -9 of what sends a campaign",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("second-sending",),
)

"""Both at once, R1 and R2, as the first crash test did it: submissions, then a campaign, killed in each."""

from tests.chaos import crash
from tests.chaos.case import Case, Form, Trial
from tests.chaos.verdict import Verdict

_SIZES: dict[Form, crash.Size] = {"test": crash.SHORT, "short": crash.NORMAL, "full": crash.FULL}


async def _run(trial: Trial) -> Verdict:
    return await crash.run("crash", trial, _SIZES[trial.form])


CASE = Case(
    "crash",
    "kill -9 while people leave contacts, and again during a campaign",
    _run,
    saboteurs=("early-answer", "early-position", "early-delete", "second-sending"),
)

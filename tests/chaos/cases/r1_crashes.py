"""R1: `kill -9` at random moments while people leave contacts; scaled: of a random service."""

from tests.chaos import crash
from tests.chaos.case import Case, Form, Trial
from tests.chaos.offering import Offered
from tests.chaos.verdict import Verdict

_FIVE_MINUTES = Offered(500, 300, {"embedded": 10, "scaled": 2})

SIZES: dict[Form, crash.Size] = {
    "test": crash.Size(150, 0, 1, 0, lanes=2),
    "short": crash.Size(2000, 0, 4, 0, lanes=4),
    "full": crash.Size(0, 0, 0, 0, lanes=10, delay=0.0, offered=_FIVE_MINUTES),
}


async def _run(trial: Trial) -> Verdict:
    return await crash.run("R1", trial, SIZES[trial.form])


CASE = Case(
    "R1",
    "kill -9 while people leave contacts",
    _run,
    modes=("embedded", "scaled"),
    saboteurs=("early-answer", "early-position", "early-delete"),
)

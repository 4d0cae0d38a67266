"""Both modes for the cases that the tests run; broker and database are those of the component tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.backing import Backing
from tests.chaos.case import Mode, Trial

SEED = 20261123
MODES = [
    "embedded",
    pytest.param("scaled", marks=[pytest.mark.needs_kafka, pytest.mark.needs_postgres]),
]

MakeTrial = Callable[..., Trial]


@pytest.fixture
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> MakeTrial:
    """Makes the trial of a mode, perhaps with a saboteur."""

    def make(mode: Mode, saboteur: str | None = None) -> Trial:
        backing = None
        if mode == "scaled":
            backing = Backing(
                request.getfixturevalue("postgres_server"),
                request.getfixturevalue("kafka"),
                request.getfixturevalue("postgres_template"),
            )
        return Trial(tmp_path, SEED, "test", mode, saboteur, backing)

    return make

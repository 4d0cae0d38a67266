"""The table of times knows every case in every mode."""

from tests.chaos.catalogue import CASES
from tests.chaos.durations import listed


def test_every_case_is_listed_with_its_time() -> None:
    lines = listed(CASES.values()).splitlines()[1:-1]
    assert [tuple(line.split()[:2]) for line in lines] == [
        (case.id, mode) for case in CASES.values() for mode in case.modes
    ]

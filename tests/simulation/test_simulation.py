"""A thousand small worlds come to rest with everything done once and in order."""

import pytest

from tests.simulation.world import Report, ground, run

EACH = 50


@pytest.mark.parametrize("first", range(0, 1000, EACH))
def test_whatever_crashes_nothing_is_lost_doubled_or_out_of_order(first: int) -> None:
    with ground() as on:
        reports = [run(seed, on) for seed in range(first, first + EACH)]
    wrong = [report for report in reports if report.faults]
    assert not wrong, _told(wrong)
    assert sum(len(report.crashes) for report in reports) >= EACH / 2, "hardly anything died"


def _told(wrong: list[Report], options: str = "") -> str:
    replay = f"python -m tests.simulation --seed {wrong[0].seed}{options}"
    return "\n".join(
        [f"{len(wrong)} seeds went wrong; replay with: {replay}", *map(str, wrong[:3])]
    )


def test_a_seed_gives_the_same_run_every_time() -> None:
    with ground() as on:
        first = [run(seed, on) for seed in range(10)]
    with ground() as on:
        assert [run(seed, on) for seed in reversed(range(10))] == first[::-1]


def test_deaths_come_at_every_kind_of_point() -> None:
    with ground() as on:
        deaths = {where for seed in range(80) for where in run(seed, on).crashes}
    assert deaths == {
        "between two turns",
        "before a commit",
        "after a commit",
        "before an append",
        "after an append",
    }


def test_nobody_gets_a_message_twice_and_no_doubt_is_hidden() -> None:
    """Worlds with a ledger, of which the thousand have but a few: they take longer."""
    with ground() as on:
        reports = [run(seed, on, mailer=True) for seed in range(30)]
    wrong = [report for report in reports if report.faults]
    assert not wrong, _told(wrong, " --mailer")

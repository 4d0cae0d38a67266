"""What a bench run says of its figures."""

import json
from pathlib import Path

import pytest

from bench.__main__ import GROUPS, LONG, QUICK, chosen
from bench.figures.soak import slope
from bench.limits import GOALS
from bench.report import Figure, Report


def test_a_rate_is_the_median_and_held_against_the_reference_of_the_same_run() -> None:
    found = Figure("P1", "1/s", [900.0, 800.0, 400.0], [1000.0, 1100.0, 900.0]).as_json()
    assert (found["value"], found["reference"], found["ratio"]) == (800, 1000, 0.8)
    assert (found["reached"], found["aim_reached"]) == (True, False)
    assert (found["floor"], found["aim"]) == ("0.8 ×", "1.3 ×")


def test_of_a_time_less_is_better() -> None:
    assert Figure("P11.page", "ms", [120.0]).as_json()["aim_reached"] is True
    assert Figure("P11.page", "ms", [200.0]).as_json()["aim_reached"] is False
    assert Figure("P11.page", "ms", [301.0]).as_json()["reached"] is False


def test_what_costs_more_when_there_is_more_is_held_against_itself() -> None:
    assert Figure("P7.P1", "µs", [121.0], [100.0]).as_json()["reached"] is False
    assert Figure("P7.P1", "µs", [104.0], [100.0]).as_json()["aim_reached"] is True


def test_what_is_not_built_has_no_value() -> None:
    figure = Figure("P5", "1/s", [], [12_000.0], note="no importer yet")
    found = figure.as_json()
    assert (found["value"], found["ratio"], found["reached"]) == (None, None, None)
    assert found["reference"] == 12_000
    assert "not built" in figure.line()


def test_the_file_has_machine_settings_and_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report({"recipients": 100})
    report.begin()
    report.add(Figure("P6.start", "s", [1.5]))
    report.write(tmp_path / "bench.json")
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["settings"] == {"recipients": 100}
    assert kept["machine"]["cores"]
    assert kept["P6.start"]["runs"] == [1.5]
    shown = capsys.readouterr().out
    assert "recipients" in shown
    assert "P6.start" in shown


def test_which_figures_are_run() -> None:
    assert chosen("", quick=True, full=False) == list(QUICK)
    assert chosen("", quick=False, full=True) == list(GROUPS)
    assert not set(LONG) & set(chosen("", quick=False, full=False))
    assert chosen("P3,P1", quick=False, full=False) == ["P1", "P3"]
    with pytest.raises(KeyError):
        chosen("P99", quick=False, full=False)


def test_the_usual_run_takes_less_than_45_minutes_by_its_own_estimate() -> None:
    assert sum(GROUPS[name][1] for name in chosen("", quick=False, full=False)) < 45 * 60


def test_every_goal_belongs_to_a_figure() -> None:
    assert {id_.partition(".")[0] for id_ in GOALS} <= set(GROUPS) | {"P2m"}


def test_memory_that_grows_has_a_slope() -> None:
    assert slope([(float(at), 100.0 + at / 10) for at in range(100)]) == pytest.approx(0.1)
    assert slope([(float(at), 100.0) for at in range(100)]) == 0

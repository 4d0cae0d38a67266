"""The budgets hold, and their check notices when they do not."""

import ast
from pathlib import Path

import pytest

from checks import budgets
from checks.budgets import Limits

ROOT = Path(__file__).resolve().parents[2]


def put(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def a_function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    x = 1\n" * (lines - 1)


def test_this_project_keeps_its_budgets() -> None:
    assert budgets.check(ROOT) == []


def test_a_small_project_is_fine(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", a_function("f", 70))
    assert budgets.check(tmp_path, Limits(function_p90=70)) == []


def test_a_file_that_is_too_long(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", "x = 1\n" * 501)
    assert "services/a.py: 501 lines, allowed are 500" in budgets.check(tmp_path)


def test_a_function_that_is_too_long(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", a_function("f", 71))
    assert "services/a.py:1 f: 71 lines, allowed are 70" in budgets.check(tmp_path)


def test_a_migration_is_a_list_of_statements(tmp_path: Path) -> None:
    put(tmp_path, "services/a/migrations/versions/2026_start.py", a_function("upgrade", 300))
    assert budgets.check(tmp_path) == []


def test_many_longish_functions(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", "".join(a_function(f"f{i}", 36) for i in range(10)))
    (complaint,) = budgets.check(tmp_path, Limits(file_p90=500))
    assert complaint.startswith("sources: nine of ten functions have up to 36 lines")


def test_tests_do_not_improve_the_average_of_sources(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", a_function("f", 40))
    put(tmp_path, "tests/test_a.py", "".join(a_function(f"test_{i}", 2) for i in range(100)))
    assert any(c.startswith("sources: nine of ten") for c in budgets.check(tmp_path))


def test_too_many_arguments(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", "def f(self, a, b, c, d, e, f, *, g, h): ...\n")
    assert budgets.check(tmp_path) == []
    put(tmp_path, "services/a.py", "def f(a, b, c, d, e, f, *, g, h, i): ...\n")
    assert budgets.check(tmp_path) == ["services/a.py:1 f: 9 arguments, allowed are 8"]


CATCH_ALL = "try:\n    pass\nexcept {caught}:\n    pass\n"


@pytest.mark.parametrize(
    "caught", ["Exception", "BaseException", "(OSError, Exception)", "Exception as e"]
)
def test_who_catches_everything_outside_the_runner(tmp_path: Path, caught: str) -> None:
    put(tmp_path, "services/push/a.py", CATCH_ALL.format(caught=caught))
    assert budgets.check(tmp_path) == [
        "services/push/a.py:3: catches everything; only the runner may"
    ]


def test_the_runner_may_three_times(tmp_path: Path) -> None:
    put(tmp_path, "services/shared/runner/a.py", CATCH_ALL.format(caught="Exception") * 3)
    assert budgets.check(tmp_path) == []
    put(tmp_path, "services/shared/runner/a.py", CATCH_ALL.format(caught="Exception") * 4)
    (complaint,) = budgets.check(tmp_path)
    assert complaint.startswith("4 broad excepts, allowed are 3")


def test_who_raises_it_again_has_not_swallowed_it(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", "try:\n    pass\nexcept BaseException:\n    x = 1\n    raise\n")
    assert budgets.check(tmp_path) == []


def test_suppressing_everything_is_catching_it(tmp_path: Path) -> None:
    put(tmp_path, "services/a.py", "with contextlib.suppress(Exception):\n    pass\n")
    assert budgets.check(tmp_path) == ["services/a.py:1: catches everything; only the runner may"]


@pytest.mark.parametrize(
    "body",
    ["m = Mock()", "with mock.patch('a.b'): ...", "monkeypatch.setattr(a, 'b', 1)", "MagicMock()"],
)
def test_mocks_are_counted(tmp_path: Path, body: str) -> None:
    put(tmp_path, "tests/test_a.py", f"def test_a(monkeypatch):\n    {body}\n")
    (complaint,) = budgets.check(tmp_path)
    assert complaint.startswith("1 of 1 tests use mocks")


def test_setting_the_environment_is_no_mock() -> None:
    tree = ast.parse("def test_a(monkeypatch):\n    monkeypatch.setenv('A', 'b')\n")
    assert not any(budgets.uses_mock(f) for f in budgets.functions(tree))


@pytest.mark.parametrize(
    ("values", "reached"), [([], 0), ([7], 7), (range(1, 11), 9), (range(1, 12), 10)]
)
def test_p90_is_what_nine_of_ten_do_not_exceed(values: list[int], reached: int) -> None:
    assert budgets.p90(list(values)) == reached

"""What is said and done about components that cannot be had, seen on a test run of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """
from tests.components import gate
from tests.components.absence import Missing

pytest_plugins = ["tests.components.gate"]
gate.FINDERS["kafka"] = lambda: Missing("Kafka", "no Java", "apt install java")
gate.FINDERS["postgres"] = lambda: None
"""


def run(folder: Path, tests: str, **env: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_x.py").write_text(f"import os\nimport pytest\n{tests}")
    outer = {n: v for n, v in os.environ.items() if n not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:schemathesis",
            "-p",
            "no:hypothesispytest",
            "-ra",
            f"--rootdir={folder}",
        ],
        cwd=folder,
        env={**outer, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        check=False,
    )


NEEDS_KAFKA = "@pytest.mark.needs_kafka\ndef test_a(): raise AssertionError\n"


def test_without_a_component_its_tests_are_skipped_and_the_last_words_say_how_to_get_it(
    tmp_path: Path,
) -> None:
    done = run(tmp_path, NEEDS_KAFKA + "def test_b(): pass\n")
    assert done.returncode == 0
    *_, title, said, end = done.stdout.strip().splitlines()
    assert "suites that did not run" in title
    assert said == "1 tests: Kafka cannot be had here: no Java -- enable with: apt install java"
    assert "1 passed, 1 skipped" in end


def test_in_ci_a_missing_component_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, NEEDS_KAFKA, CI="true")
    assert done.returncode == 1
    assert "no Java" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "tests",
    [
        "def test_a(): pytest.skip('not today')\n",
        "@pytest.mark.skip(reason='not today')\ndef test_a(): pass\n",
        "pytest.skip('not today', allow_module_level=True)\n",
        "pytest.importorskip('no_such_module', reason='not today')\n",
    ],
)
def test_in_ci_every_skip_is_a_failure(tmp_path: Path, tests: str) -> None:
    assert run(tmp_path, tests).returncode in (0, 5)
    done = run(tmp_path, tests, CI="true")
    assert done.returncode not in (0, 5)
    assert "nothing may be left out with CI=true" in done.stdout
    assert "not today" in done.stdout


def test_who_asks_for_a_fixture_needs_its_component(tmp_path: Path) -> None:
    done = run(tmp_path, "@pytest.fixture\ndef kafka(): return 1\ndef test_a(kafka): pass\n")
    assert "1 skipped" in done.stdout


def test_a_component_that_is_there_stops_nobody(tmp_path: Path) -> None:
    done = run(tmp_path, "@pytest.mark.needs_postgres\ndef test_a(): pass\n", CI="true")
    assert done.returncode == 0


def test_settings_of_the_developer_do_not_reach_the_tests(tmp_path: Path) -> None:
    done = run(
        tmp_path, "def test_a(): assert 'BAITWELL_PORT' not in os.environ\n", BAITWELL_PORT="1"
    )
    assert done.returncode == 0


def test_with_several_workers_the_last_words_are_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, NEEDS_KAFKA, PYTEST_ADDOPTS="-n2")
    assert "enable with: apt install java" in done.stdout

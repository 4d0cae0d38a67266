"""Licences and floors of what is locked hold, and their checks notice when they do not."""

from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from checks import floors, licences

ROOT = Path(__file__).resolve().parents[2]


def test_every_licence_agrees_with_ours() -> None:
    assert licences.check(ROOT) == []


def test_no_version_is_below_its_floor() -> None:
    assert floors.check(ROOT) == []


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0 OR (MIT AND BSD-3-Clause)",
        "Apache-2.0 AND MIT",
        "Apache-2.0 WITH LLVM-exception",
    ],
)
def test_expressions_that_agree(expression: str) -> None:
    assert licences.agrees(expression)


@pytest.mark.parametrize(
    "expression",
    ["GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-2.0 OR AGPL-3.0)", "", "MIT AND", "Proprietary"],
)
def test_expressions_that_do_not(expression: str) -> None:
    assert not licences.agrees(expression)


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT", "MIT"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("License: see the file\nClassifier: License :: OSI Approved :: MIT License", "MIT"),
        (
            "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
            "GNU-General-Public-License-v3-(GPLv3)",
        ),
        ("Summary: says nothing", None),
    ],
)
def test_a_licence_is_read_in_whichever_way_it_is_stated(
    tmp_path: Path, metadata: str, licence: str | None
) -> None:
    folder = tmp_path / "x-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: x\nVersion: 1\n{metadata}\n")
    assert licences.licence_of(PathDistribution(folder)) == licence


def a_project(root: Path, *, lock: str, asked: str) -> Path:
    (root / "requirements").mkdir()
    for name in licences.LOCKS:
        (root / name).write_text("")
    (root / "requirements/run.txt").write_text(lock)
    (root / "pyproject.toml").write_text(f'[project]\nname = "x"\ndependencies = ["{asked}"]\n')
    return root


def test_a_locked_version_with_a_known_hole(tmp_path: Path) -> None:
    root = a_project(
        tmp_path, lock="starlette==1.2.0 \\\n    --hash=sha256:00\n", asked="starlette>=1.3.1"
    )
    (complaint,) = floors.check(root)
    assert complaint.startswith(
        "requirements/run.txt: starlette==1.2.0 allows a version with a known hole"
    )


def test_asking_for_less_than_the_floor(tmp_path: Path) -> None:
    root = a_project(tmp_path, lock="jinja2==3.1.6 \\\n    --hash=sha256:00\n", asked="Jinja2")
    (complaint,) = floors.check(root)
    assert complaint.startswith("pyproject.toml: Jinja2 allows")


def test_a_package_that_is_locked_but_absent_is_no_silent_pass(tmp_path: Path) -> None:
    root = a_project(tmp_path, lock="not-installed-at-all==1 \\\n    --hash=sha256:00\n", asked="x")
    (complaint,) = licences.check(root)
    assert "cannot be read" in complaint

"""No trace of a machine in what is committed."""

from pathlib import Path

import pytest

from checks import traces

ROOT = Path(__file__).resolve().parents[2]
PIN = "x==1 \\\n    --hash=sha256:00\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/run.txt").write_text(PIN)
    return tmp_path


def test_this_project_has_none() -> None:
    assert traces.check(ROOT) == []


def test_pinned_locks_are_fine(project: Path) -> None:
    assert traces.check(project) == []


def test_a_word_of_the_machine(project: Path) -> None:
    (project / "notes.md").write_text("fetched from mirror.corp.example")
    (complaint,) = traces.check(project, frozenset({"mirror.corp.example"}))
    assert complaint.startswith("notes.md: names 'mirror.corp.example'")


def test_the_checkout_itself(project: Path) -> None:
    (project / "x.toml").write_text(f"path = '{project.resolve()}/data'")
    assert any("a trace of this machine" in complaint for complaint in traces.check(project))


def test_a_home_directory(project: Path) -> None:
    (project / "x.sh").write_text("cd /" + "home/somebody/baitwell")
    assert any("home directory" in complaint for complaint in traces.check(project))


@pytest.mark.parametrize("lock", ["x>=1\n", "x==1\n", PIN + "y==2\n"])
def test_a_loose_pin(project: Path, lock: str) -> None:
    (project / "requirements/run.txt").write_text(lock)
    assert any(
        "has no exact version with hashes" in complaint for complaint in traces.check(project)
    )


@pytest.mark.parametrize(
    "line", ["--index-url https://mirror.example/simple", "--find-links wheels"]
)
def test_a_lock_that_says_where_to_download_from(project: Path, line: str) -> None:
    (project / "requirements/run.txt").write_text(f"{line}\n{PIN}")
    assert "requirements/run.txt: names a place to download from" in traces.check(project)

"""Shell scripts and the Dockerfile are clean."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SCRIPTS = ("requirements/environment.sh", "deploy/kafka/kafka.sh", ".ci/run")


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    checked = run(BIN / "shellcheck", script)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_can_be_started(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111


def test_every_script_is_checked() -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.sh")
    if listed.returncode == 0:
        assert set(listed.stdout.split()) <= set(SCRIPTS)


def test_hadolint_has_nothing_to_say() -> None:
    checked = run(BIN / "hadolint", "deploy/Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_image_does_not_run_as_root_and_its_bases_are_pinned() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    users = re.findall(r"^USER (\S+)", text, re.MULTILINE)
    assert users
    assert users[-1].partition(":")[0] not in ("root", "0")
    assert all(
        re.search(r":\d+\.\d+", base) for base in re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    )
    assert "--require-hashes" in text


def test_the_kafka_script_says_how_it_is_used() -> None:
    told = run("deploy/kafka/kafka.sh", "help")
    assert told.returncode == 0
    assert "KAFKA_DEV_OWNER" in told.stderr


def test_the_kafka_script_refuses_what_it_does_not_know() -> None:
    assert run("deploy/kafka/kafka.sh", "dance").returncode == 2

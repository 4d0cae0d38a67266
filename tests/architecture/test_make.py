"""`make` from a fresh clone: what it says, what it builds with, how it is stopped."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """#!{python}
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("stopped cleanly", flush=True), sys.exit(0)))
signal.signal(signal.SIGINT, lambda *_: (print("stopped cleanly", flush=True), sys.exit(0)))
if sys.argv[1:2] == ["-c"]:
    print("3.12.0")
    sys.exit(0)
print("started", *sys.argv[1:], flush=True)
if sys.argv[1:3] == ["-m", "pip"]:
    sys.exit(1)
time.sleep(60)
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Makefile and locks in a folder of their own."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    return tmp_path


@pytest.fixture
def installed(clone: Path) -> Path:
    """A clone whose environment is up to date and holds a stand-in for Python."""
    python = clone / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(PROGRAM.format(python=sys.executable))
    python.chmod(0o755)
    shutil.copy(clone / "requirements/run.txt", clone / ".venv/installed-run.txt")
    return clone


@pytest.fixture
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for programs that shadow those of the machine."""
    return tmp_path_factory.mktemp("bin")


def put_python(folder: Path, name: str, *, version: str, new: bool, venv: bool = True) -> None:
    """A stand-in that answers what `environment.sh` asks a Python."""
    (folder / name).write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f"  *'version_info[:3]'*) echo {version} ;;\n"
        f"  *'(3, 11)'*) exit {0 if new else 1} ;;\n"
        f"  *ensurepip*) exit {0 if venv else 1} ;;\n"
        "esac\n"
    )
    (folder / name).chmod(0o755)


def make(clone: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=clone,
        env={**clean_environment(), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """Without what an outer make or a shell told us."""
    return {
        n: v for n, v in os.environ.items() if n not in ("MAKEFLAGS", "MAKELEVEL", "PYTHON", "VENV")
    }


def only(folder: Path) -> str:
    """A PATH on which no Python is found but those in `folder`."""
    for tool in ("sh", "bash", "env", "dirname", "cmp", "rm", "cp", "printf", "make"):
        if (found := shutil.which(tool)) and not (folder / tool).exists():
            (folder / tool).symlink_to(found)
    return str(folder)


def test_alone_it_lists_every_verb(clone: Path) -> None:
    told = make(clone).stdout
    text = (ROOT / "Makefile").read_text()
    verbs = re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE)
    assert {"run", "run-scaled", "test", "check", "demo", "bench", "chaos", "docs", "clean"} <= set(
        verbs
    )
    for verb in verbs:
        assert re.search(rf"^  {verb} +\w", told, re.MULTILINE)


def test_an_old_python_gets_one_clear_line(clone: Path, stand_ins: Path) -> None:
    put_python(stand_ins, "python3", version="3.9.2", new=False)
    done = make(clone, "run", PATH=only(stand_ins))
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("baitwell:")]
    assert lines == [
        (
            "baitwell: Python 3.11 or newer is needed, found python3=3.9.2: install one, "
            "or name it: make PYTHON=/path/to/python3"
        )
    ]


def test_a_python_without_venv_gets_one_clear_line(clone: Path, stand_ins: Path) -> None:
    put_python(stand_ins, "python3", version="3.12.1", new=True, venv=False)
    done = make(clone, "run", PATH=only(stand_ins))
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("baitwell:")]
    assert "python3 has no venv module" in line
    assert "apt install python3-venv" in line


def test_no_python_at_all_gets_one_clear_line(clone: Path, stand_ins: Path) -> None:
    done = make(clone, "run", PATH=only(stand_ins))
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed, found none" in done.stderr


def environment(clone: Path, which: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["requirements/environment.sh", which],
        cwd=clone,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_nothing_is_installed_when_the_lock_did_not_change(installed: Path) -> None:
    done = environment(installed, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_lock_that_changed_is_installed_again(installed: Path) -> None:
    with (installed / "requirements/run.txt").open("a") as lock:
        lock.write("# changed\n")
    done = environment(installed, "run")
    assert "installing what requirements/run.txt names, hashes checked" in done.stderr
    assert "pip install --quiet --disable-pip-version-check --require-hashes" in done.stdout
    assert done.returncode != 0
    assert "could not install uv" in done.stderr
    assert not (installed / ".venv/installed-run.txt").exists()


def test_running_does_not_take_the_development_tools_away(installed: Path) -> None:
    (installed / ".venv/installed-run.txt").unlink()
    shutil.copy(installed / "requirements/dev.txt", installed / ".venv/installed-dev.txt")
    done = environment(installed, "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def running(installed: Path) -> Iterator[subprocess.Popen[str]]:
    """`make run` with the stand-in, in a process group of its own."""
    process = subprocess.Popen(
        ["make", "--no-print-directory", "run", "ARGS=--port 8010"],
        cwd=installed,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_sigterm_to_make_stops_the_program(running: subprocess.Popen[str]) -> None:
    assert first_line(running) == "started -m services run all --port 8010"
    running.terminate()
    output, _ = running.communicate(timeout=10)
    assert "stopped cleanly" in output


def test_ctrl_c_stops_the_program_with_little_noise(running: subprocess.Popen[str]) -> None:
    first_line(running)
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=10)
    assert "stopped cleanly" in output
    assert len(output.splitlines()) <= 2
    wait_until(lambda: running.poll() is not None, "make ended")

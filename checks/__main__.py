"""`python -m checks [NAME...]`: all checks, or those named. Exit status 1 when one complains."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from checks import budgets, floors, licences, structure, traces

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

OURS: dict[str, Callable[[Path], list[str]]] = {
    "budgets": budgets.check,
    "structure": structure.check,
    "licences": licences.check,
    "floors": floors.check,
    "traces": traces.check,
}


def commands() -> dict[str, list[str]]:
    """The checks that are programs; scripts are found, not listed."""
    scripts = ["requirements/environment.sh", "deploy/kafka/kafka.sh", ".ci/run"]
    others = [
        tree for tree in ("tests", "bench", "deploy", "checks") if any(ROOT.glob(f"{tree}/**/*.py"))
    ]
    return {
        "style": [str(BIN / "ruff"), "check", "."],
        "format": [str(BIN / "ruff"), "format", "--check", "--quiet", "."],
        "types": [str(BIN / "mypy")],
        "types-of-tests": [str(BIN / "mypy"), *others],
        "imports": [str(BIN / "lint-imports"), "--no-logo"],
        "shell": [str(BIN / "shellcheck"), *scripts],
        "documents": [sys.executable, "-m", "services", "docs", "--check"],
        "migrations": [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/architecture/test_migrations.py",
        ],
    }


def run_program(command: Sequence[str]) -> list[str]:
    """Complaints of a program: what it printed, if it failed."""
    if shutil.which(command[0]) is None:
        return [f"{command[0]} is not installed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []


def main(names: Sequence[str]) -> int:
    programs = commands()
    unknown = set(names) - OURS.keys() - programs.keys()
    if unknown:
        print(
            f"no such check: {', '.join(sorted(unknown))}; there are {', '.join((*programs, *OURS))}"
        )
        return 2
    failed = False
    for name in (*programs, *OURS):
        if names and name not in names:
            continue
        complaints = run_program(programs[name]) if name in programs else OURS[name](ROOT)
        print(f"{'no' if complaints else 'ok'}  {name}", flush=True)
        for complaint in complaints:
            print(f"      {complaint}", flush=True)
        failed = failed or bool(complaints)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

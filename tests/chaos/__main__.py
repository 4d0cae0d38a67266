"""`make chaos`: crashes and their checker.

    SEED=7        this seed; otherwise one of the clock, printed
    SEEDS=20      so many seeds in a row, from SEED on (1 unless said)
    ONLY=crash    these cases, with commas between
    FULL=1        5,000 submissions and recipients in place of 2,000, and more kills
    SHORT=1       the form that the tests run: 300 of each
    SABOTAGE=1    with each saboteur in turn: every run has to turn red; SABOTAGE=name: with this one
    KEEP=1        leave what each run wrote under build/chaos/

Writes build/chaos.json. The exit status is 0 when every case is green, 1 when one is red, and 3 when a
saboteur went unnoticed: then the case proves nothing.
"""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from tests.chaos import crash
from tests.chaos.sabotaged import SABOTEURS
from tests.chaos.verdict import Verdict, write

BUILD = Path("build")

Case = Callable[[Path, int, crash.Size, str | None], Coroutine[Any, Any, Verdict]]

CASES: dict[str, Case] = {"crash": crash.run}


def main() -> int:
    """The command."""
    only = [word for word in os.environ.get("ONLY", "").split(",") if word] or list(CASES)
    if wrong := [word for word in only if word not in CASES]:
        sys.stderr.write(f"no case is called {wrong[0]}; there are: {', '.join(CASES)}\n")
        return 2
    size = _size()
    saboteurs = _saboteurs()
    verdicts = []
    for name in only:
        for seed in _seeds():
            for saboteur in saboteurs:
                folder = BUILD / "chaos" / f"{name}-{seed}-{saboteur or 'plain'}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                verdict = asyncio.run(CASES[name](folder.resolve(), seed, size, saboteur))
                if not os.environ.get("KEEP") and (verdict.ok or saboteur):
                    shutil.rmtree(folder)
                verdicts.append(verdict)
                print(verdict.line(), flush=True)
                write(BUILD / "chaos.json", verdicts)
    return _status(verdicts)


def _size() -> crash.Size:
    if os.environ.get("SHORT"):
        return crash.SHORT
    return crash.FULL if os.environ.get("FULL") else crash.NORMAL


def _saboteurs() -> list[str | None]:
    asked = os.environ.get("SABOTAGE", "")
    if not asked or asked == "0":
        return [None]
    return [asked] if asked in SABOTEURS else list(SABOTEURS)


def _seeds() -> Iterator[int]:
    first = int(os.environ.get("SEED") or time.time_ns() // 1_000_000 % 1_000_000)
    yield from range(first, first + int(os.environ.get("SEEDS") or 1))


def _status(verdicts: list[Verdict]) -> int:
    green = sum(verdict.ok for verdict in verdicts)
    print(f"{green} green, {len(verdicts) - green} red; written to build/chaos.json")
    unnoticed = [v.saboteur for v in verdicts if v.saboteur and v.ok]
    if unnoticed:
        print(f"went unnoticed: {', '.join(name for name in unnoticed if name)}")
        return 3
    if any(verdict.saboteur for verdict in verdicts):
        print("every saboteur was noticed")
    return 0 if green == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

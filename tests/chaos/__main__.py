"""`make chaos`: crashes and their checker.

    SEED=7        this seed; otherwise one of the clock, printed
    SEEDS=20      so many seeds in a row, from SEED on (1 unless said)
    ONLY=R1,R2    these cases, with commas between
    SKIP=R1,R2    all but these
    MODE=scaled   only in this mode (embedded, scaled); otherwise in each that a case has
    FULL=1        the full form of each case
    SHORT=1       the form that the tests run
    SABOTAGE=1    with each saboteur in turn: every run has to turn red; SABOTAGE=name: with this one
    KEEP=1        leave what each run wrote under build/chaos/
    GO_ON=1       keep what build/chaos.json holds, with its seed, and play what is not green there
    LIST=1        name the cases, their modes and saboteurs, and how long they take; play none

Writes build/chaos.json after each run, so that one that is broken off keeps what it had. The exit
status is 0 when every case is green, 1 when one is red, and 3 when a saboteur went unnoticed, or its
program did not even start: then the case proves nothing.
"""

import asyncio
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.chaos.case import Case, Form, Mode, NotHere, Trial
from tests.chaos.catalogue import CASES
from tests.chaos.durations import listed
from tests.chaos.verdict import Verdict, played, read, write

BUILD = Path("build")
REPORT = BUILD / "chaos.json"


def main() -> int:
    """The command."""
    only, skipped = _words("ONLY") or list(CASES), _words("SKIP")
    if wrong := [word for word in [*only, *skipped] if word not in CASES]:
        sys.stderr.write(f"no case is called {wrong[0]}; there are: {', '.join(CASES)}\n")
        return 2
    only = [word for word in only if word not in skipped]
    if os.environ.get("LIST"):
        print(listed([CASES[word] for word in only]))
        return 0
    # what a client says while brokers come and go is no part of a verdict
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    earlier = read(REPORT) if os.environ.get("GO_ON") else []
    green = {played(found) for found in earlier if found["ok"]}
    verdicts: list[Verdict] = []
    for case, seed, mode, saboteur in _wanted(only, _first_seed(earlier)):
        if (case.id, mode, seed, _form(), saboteur) in green:
            continue
        name = f"{case.id}-{mode}-{seed}-{saboteur or 'plain'}"
        folder = BUILD / "chaos" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        trial = Trial(folder.resolve(), seed, _form(), mode, saboteur)
        try:
            verdict = asyncio.run(_play(case, trial))
            verdict.form = trial.form
        except NotHere as missing:
            print(f"--  {case.id} {mode}: not on this machine: {missing}", flush=True)
            continue
        if not os.environ.get("KEEP") and (verdict.ok or saboteur):
            shutil.rmtree(folder)
        verdicts.append(verdict)
        print(verdict.line(), flush=True)
        write(REPORT, verdicts, earlier)
    return _status(verdicts)


async def _play(case: Case, trial: Trial) -> Verdict:
    """The verdict of a case; one that breaks is red, and those behind it are played all the same."""
    begun = time.monotonic()
    try:
        return await case.run(trial)
    except NotHere:
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is: an hour of other cases hangs on it
        verdict = Verdict(case.id, trial.mode, trial.seed, saboteur=trial.saboteur, begun=False)
        verdict.seconds = round(time.monotonic() - begun)
        verdict.faults.append("".join(traceback.format_exception(error)))
        return verdict


def _words(name: str) -> list[str]:
    return [word for word in os.environ.get(name, "").split(",") if word]


def _wanted(only: list[str], first: int) -> Iterator[tuple[Case, int, Mode, str | None]]:
    wish = os.environ.get("MODE")
    for name in only:
        case = CASES[name]
        for seed in range(first, first + int(os.environ.get("SEEDS") or 1)):
            for mode in case.modes:
                if wish in (None, "", mode):
                    for saboteur in _saboteurs(case):
                        yield case, seed, mode, saboteur


def _form() -> Form:
    if os.environ.get("SHORT"):
        return "test"
    return "full" if os.environ.get("FULL") else "short"


def _saboteurs(case: Case) -> tuple[str | None, ...]:
    asked = os.environ.get("SABOTAGE", "")
    if not asked or asked == "0":
        return (None,)
    return (asked,) if asked in case.saboteurs else case.saboteurs


def _first_seed(earlier: Sequence[Mapping[str, Any]]) -> int:
    before = min((found["seed"] for found in earlier), default=None)
    return int(os.environ.get("SEED") or before or time.time_ns() // 1_000_000 % 1_000_000)


def _status(verdicts: list[Verdict]) -> int:
    green = sum(verdict.ok for verdict in verdicts)
    minutes, seconds = divmod(sum(verdict.seconds for verdict in verdicts), 60)
    print(
        f"{green} green, {len(verdicts) - green} red in {minutes} min {seconds} s;"
        " written to build/chaos.json"
    )
    if still := [v.saboteur for v in verdicts if v.saboteur and not v.begun]:
        print(f"never started, so that nothing was shown: {', '.join(map(str, still))}")
        return 3
    unnoticed = [v.saboteur for v in verdicts if v.saboteur and v.ok]
    if unnoticed:
        print(f"went unnoticed: {', '.join(name for name in unnoticed if name)}")
        return 3
    if any(verdict.saboteur for verdict in verdicts):
        print("every saboteur was noticed")
    return 0 if green == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())

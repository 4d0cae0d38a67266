"""R14: a crash at every await and commit of log, outbox, positions, group commit and ledger, by many seeds."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.push.deliveries.service import Ledger
from services.shared.runner import positions
from tests.chaos.case import Case, Form, Trial
from tests.chaos.verdict import Verdict
from tests.simulation import sabotage
from tests.simulation.world import Report, ground, run

_SEEDS: dict[Form, int] = {"test": 100, "short": 1000, "full": 10_000}
_WITH_LEDGER = 10
"""One world in so many is played once more with a ledger, which few have: it takes three times as long."""

_TOLD = 3


@dataclass(frozen=True, slots=True)
class Sabotage:
    """What is put in a world's place of a part, or of a method."""

    parts: Mapping[str, Any]
    owner: Any = None
    name: str = ""
    piece: Callable[..., Any] | None = None
    ledger: bool = False
    """It shows in worlds with a ledger only."""


_SABOTEURS: dict[str, Sabotage] = {
    "moves-blindly": Sabotage({}, positions, "move", sabotage.move_blindly),
    "hasty-relay": Sabotage({"relay": sabotage.HastyRelay}),
    "unsorted-relay": Sabotage({"relay": sabotage.UnsortedRelay}),
    "sends-again": Sabotage({}, Ledger, "reap", sabotage.send_again, ledger=True),
}
_NOBODY = Sabotage({})


async def _run(trial: Trial) -> Verdict:
    verdict = Verdict("R14", trial.mode, trial.seed, saboteur=trial.saboteur)
    begun = time.monotonic()
    # a world has a loop of its own, which no other may run around
    await asyncio.to_thread(_worlds, trial, verdict)
    verdict.seconds = round(time.monotonic() - begun)
    return verdict


def _worlds(trial: Trial, verdict: Verdict) -> None:
    count = _SEEDS[trial.form]
    first = trial.seed * _SEEDS["full"]
    meddling = _SABOTEURS[trial.saboteur] if trial.saboteur else _NOBODY
    wanted = [(seed, False) for seed in range(first, first + count) if not meddling.ledger]
    every = 1 if meddling.ledger else _WITH_LEDGER
    wanted += [(seed, True) for seed in range(first, first + count, every)]
    worlds = points = 0
    with ground() as on, _put(meddling):
        for seed, mailer in wanted:
            report = run(seed, on, mailer=mailer, **meddling.parts)
            worlds, points = worlds + 1, points + report.points
            _note(verdict, report, mailer)
            if report.faults and trial.saboteur:
                break
    verdict.figures.update(worlds=worlds, points=points)


def _note(verdict: Verdict, report: Report, mailer: bool) -> None:
    verdict.accepted += report.items
    verdict.kills += len(report.crashes)
    if not report.faults:
        return
    verdict.lost += 1
    if verdict.lost <= _TOLD:
        replay = f"python -m tests.simulation --seed {report.seed}{' --mailer' if mailer else ''}"
        verdict.faults.append(f"{report.faults[0]}; replay with: {replay}")


@contextlib.contextmanager
def _put(meddling: Sabotage) -> Iterator[None]:
    """A piece in the place of another one while the block runs."""
    if meddling.piece is None:
        yield
        return
    careful = getattr(meddling.owner, meddling.name)
    setattr(meddling.owner, meddling.name, meddling.piece)
    try:
        yield
    finally:
        setattr(meddling.owner, meddling.name, careful)


CASE = Case(
    "R14",
    "a crash at every await and commit, in simulated worlds by seed",
    _run,
    saboteurs=tuple(_SABOTEURS),
)

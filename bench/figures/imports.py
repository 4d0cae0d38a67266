"""P5: rows of a sheet a second, through the API, against `rows` in the same run."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.made.sheets import Row, dirty_rows
from bench.report import Figure, Report
from bench.system import BUILD, Embedded, embedded

ROWS, MANY_ROWS = 200_000, 1_000_000

Importer = Callable[[Embedded, Iterator[Row]], float]
"""Sends rows through the API of a running system and waits until all have had their effects; the seconds."""

IMPORTER: Importer | None = None
"""The product's. None: it has none yet, and the figures have no value."""


@dataclass(frozen=True)
class Found:
    """Rows a second; MB of resident memory at most, over idle."""

    rate: float
    memory: float


def p5(report: Report, runs: int) -> None:
    """The sheet by the importer and by the reference, turn by turn."""
    runs = min(runs, 3)
    references = []
    found: list[float] = []
    memory: list[float] = []
    for _ in range(runs):
        references.append(reference(ROWS))
        if IMPORTER is not None:
            found.append(imported(IMPORTER, ROWS).rate)
    if IMPORTER is not None:
        memory.append(imported(IMPORTER, MANY_ROWS).memory)
    note = "" if IMPORTER else "no importer yet: only the reference was measured"
    report.add(Figure("P5", "1/s", found, references, note=note))
    report.add(Figure("P5.memory", "MB", memory, note="" if IMPORTER else "no importer yet"))


def reference(count: int) -> float:
    """Rows a second of the reference."""
    BUILD.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "bench.reference.rows", str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout)


def imported(importer: Importer, count: int) -> Found:
    """What an importer does with so many rows in a fresh system."""
    with embedded() as system:
        idle = system.memory()
        seconds = importer(system, dirty_rows(count))
        system.quiet()
        return Found(count / seconds, system.peak_memory() - idle)

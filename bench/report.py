"""What a bench run found: printed as a table, written to build/bench.json."""

import json
import os
import platform
import sqlite3
import statistics
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.limits import GOALS, Goal, Limit

_PACKAGES = (
    "aiokafka",
    "aiosmtplib",
    "asyncpg",
    "fastapi",
    "httptools",
    "pydantic",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "uvicorn",
    "uvloop",
)


@dataclass
class Figure:
    """One figure over several runs. `reference` None: it stands for itself.

    No runs: it can't be measured yet, and the note says why.
    """

    id: str
    unit: str
    runs: list[float]
    reference: list[float] | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """The median of the runs."""
        return statistics.median(self.runs) if self.runs else None

    @property
    def against(self) -> float | None:
        """The median of the reference's runs."""
        return statistics.median(self.reference) if self.reference else None

    @property
    def times(self) -> float | None:
        """How many times the reference the value is."""
        return self.value / self.against if self.value is not None and self.against else None

    @property
    def goal(self) -> Goal:
        return GOALS.get(self.id, Goal())

    def reached(self, limit: Limit | None) -> bool | None:
        """Whether a limit is kept; None where there is none, or no value."""
        return None if limit is None else limit.reached(self.unit, self.value, self.times)

    def as_json(self) -> dict[str, Any]:
        """What `build/bench.json` holds of it."""
        return {
            "value": _rounded(self.value),
            "unit": self.unit,
            "reference": _rounded(self.against),
            "ratio": _rounded(self.times),
            "floor": _told(self.goal.floor),
            "aim": _told(self.goal.aim),
            "reached": self.reached(self.goal.floor),
            "aim_reached": self.reached(self.goal.aim),
            "runs": [_rounded(run) for run in self.runs],
            "note": self.note,
        }

    def line(self) -> str:
        """Its line of the table."""
        return _line(
            self.id,
            "not built" if self.value is None else f"{self.value:,.2f}",
            self.unit,
            "" if self.against is None else f"{self.against:,.2f}",
            "" if self.times is None else f"{self.times:.2f}",
            _told(self.goal.floor) or "",
            _told(self.goal.aim) or "",
            self._verdict(),
            " ".join(f"{run:,.5g}" for run in self.runs),
            self.note,
        )

    def _verdict(self) -> str:
        if self.reached(self.goal.aim):
            return "aim"
        return {True: "yes", False: "NO", None: ""}[self.reached(self.goal.floor)]


_COLUMNS = {
    "figure": "<15",
    "value": ">12",
    "unit": "<5",
    "reference": ">12",
    "ratio": ">6",
    "floor": ">8",
    "aim": ">8",
    "reached": ">8",
    " runs": "<42",
    "": "",
}


def _line(*words: str) -> str:
    shown = (f"{word:{width}}" for word, width in zip(words, _COLUMNS.values(), strict=True))
    return " ".join(shown).rstrip() + "\n"


def _told(limit: Limit | None) -> str | None:
    return None if limit is None else str(limit)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass
class Report:
    """All figures of a run. `settings`: with what it was run; `took`: seconds by group of figures."""

    settings: dict[str, Any] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    took: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Print the machine, the settings and the table's head."""
        for name, told in (machine() | {"settings": self.settings}).items():
            sys.stdout.write(f"{name + ':':12} {told}\n")
        sys.stdout.write(_line(*_COLUMNS))
        sys.stdout.flush()

    def add(self, figure: Figure) -> None:
        """Keep a figure and print its line."""
        self.figures.append(figure)
        sys.stdout.write(figure.line())
        sys.stdout.flush()

    def write(self, path: Path) -> None:
        """Write all figures with the machine that they were measured on."""
        path.parent.mkdir(exist_ok=True)
        body: dict[str, Any] = {figure.id: figure.as_json() for figure in self.figures}
        about = {"machine": machine(), "settings": self.settings, "seconds": self.took}
        path.write_text(json.dumps(about | body, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures are measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "busy": f"load {os.getloadavg()[0]:.1f} of the last minute",
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in _PACKAGES},
        "durability": "SQLite WAL, synchronous=FULL (the product's default)",
        "load": "our own client (bench/load.py) on the same cores",
    }

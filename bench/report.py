"""What a bench run found: printed as a table, written to build/bench.json."""

import json
import platform
import statistics
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("fastapi", "uvicorn", "sqlmodel", "sqlalchemy", "pydantic", "aiokafka", "aiosmtplib")


@dataclass
class Figure:
    """One figure over several runs. `reference` None: it stands for itself."""

    id: str
    unit: str
    runs: list[float]
    reference: list[float] | None = None
    note: str = ""
    floor: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.runs)

    def as_json(self) -> dict[str, Any]:
        reference = statistics.median(self.reference) if self.reference else None
        return {
            "value": round(self.value, 3),
            "unit": self.unit,
            "reference": None if reference is None else round(reference, 3),
            "ratio": None if not reference else round(self.value / reference, 3),
            "runs": [round(run, 3) for run in self.runs],
            "floor": self.floor,
            "note": self.note,
        }


@dataclass
class Report:
    """All figures of a run."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, figure: Figure) -> None:
        """Keep a figure and print its line."""
        self.figures.append(figure)
        found = figure.as_json()
        ratio = (
            "" if found["ratio"] is None else f"{found['ratio']:.2f} × {found['reference']:,.0f}"
        )
        sys.stdout.write(
            f"{figure.id:12} {found['value']:>12,.2f} {figure.unit:8} {ratio:>18}"
            f"   floor {figure.floor}  runs {found['runs']}\n"
        )
        sys.stdout.flush()

    def write(self, path: Path) -> None:
        """Write all figures with the machine that they were measured on."""
        path.parent.mkdir(exist_ok=True)
        body: dict[str, Any] = {figure.id: figure.as_json() for figure in self.figures}
        path.write_text(json.dumps({"machine": machine(), **body}, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    import os

    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "durability": "SQLite WAL, synchronous=FULL (the product's default)",
        "load": "our own client (bench/load.py) on the same cores",
    }

"""P6: one process with everything: start to ready, memory after start, import time."""

import re
import subprocess
import sys
import time

from bench.report import Figure, Report
from bench.system import embedded, first_start, inherited

_IMPORTS = "import services.shared.process.embedded, services.command_line as c; c.kinds()"


def start_and_memory() -> dict[str, float]:
    """Seconds from fork to ready: on a new data directory, and on one that is there; MB after 2 s."""
    with embedded() as system:
        first = system.start_seconds
    with embedded(first_start) as system:
        time.sleep(2)
        return {
            "P6.first": first,
            "P6.start": system.start_seconds,
            "P6.memory": system.memory(),
        }


def import_seconds() -> float:
    """What `-X importtime` says of what a start imports, bytecode being there."""
    words = [sys.executable, "-X", "importtime", "-c", _IMPORTS]
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=inherited())
    found = re.findall(r"\|\s*(\d+) \| \S", done.stderr)  # what stands at the left margin
    return sum(map(int, found)) / 1e6


def p6(report: Report, runs: int) -> None:
    """Start and memory."""
    found = [start_and_memory() for _ in range(runs)]
    first = [run["P6.first"] for run in found]
    report.add(Figure("P6.first", "s", first, note="schemas are made, too"))
    report.add(Figure("P6.start", "s", [run["P6.start"] for run in found]))
    report.add(Figure("P6.memory", "MB", [run["P6.memory"] for run in found]))
    report.add(Figure("P6.import", "s", [import_seconds() for _ in range(runs)]))

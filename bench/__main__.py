"""`make bench`: ONLY=P1,P2 picks figures; QUICK=1 is one run of each; the default is the median of five."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.figures import clicks, consumers, mails, start
from bench.figures import submissions as leads
from bench.report import Figure, Report


def p1(report: Report, runs: int) -> None:
    """Submissions against bare, turn by turn."""
    seconds = 5.0
    references = []
    found: list[dict[str, float]] = []
    for _ in range(runs):
        references.append(leads.bare(seconds))
        found.append(leads.submissions(seconds))
    report.add(Figure("P1", "1/s", [run["P1"] for run in found], references, floor="0.8 × bare"))
    report.add(
        Figure(
            "P1.p99",
            "ms",
            [run["P1.p99"] for run in found],
            note="constant rate, half of the measured one, from the intended start",
            floor="60",
        )
    )


def p2(report: Report, runs: int) -> None:
    """Campaign mails against plain, turn by turn."""
    references, found = [], []
    for _ in range(runs):
        references.append(mails.plain(5.0))
        found.append(mails.campaign(_recipients()))
    report.add(Figure("P2", "1/s", found, references, floor="3 × plain"))


def p2r(report: Report, runs: int) -> None:
    """The same over a round trip of 50 ms, both with 100 connections."""
    references, found = [], []
    delay, connections = mails.ROUND_TRIP, mails.FAR_CONNECTIONS
    for _ in range(runs):
        references.append(mails.plain(5.0, delay=delay, connections=connections))
        found.append(mails.far_campaign(_recipients()))
    report.add(Figure("P2r", "1/s", found, references, floor="4 × plain"))


def p2d(report: Report, runs: int) -> None:
    """The same with an RSA signature on every mail; plain has none."""
    references, found = [], []
    for _ in range(runs):
        references.append(mails.plain(5.0))
        found.append(mails.signed_campaign(_recipients()))
    report.add(Figure("P2d", "1/s", found, references, floor="3 × plain"))


def _recipients() -> int:
    return int(os.environ.get("RECIPIENTS", "20000"))


def p6(report: Report, runs: int) -> None:
    """Start and memory."""
    found = [start.start_and_memory() for _ in range(runs)]
    report.add(
        Figure("P6.first", "s", [run["P6.first"] for run in found], note="schemas are made, too")
    )
    report.add(Figure("P6.start", "s", [run["P6.start"] for run in found], floor="2"))
    report.add(Figure("P6.memory", "MB", [run["P6.memory"] for run in found], floor="150"))
    report.add(Figure("P6.import", "s", [start.import_seconds() for _ in range(runs)]))


GROUPS: dict[str, Callable[[Report, int], None]] = {
    "P1": p1,
    "P2": p2,
    "P2r": p2r,
    "P2d": p2d,
    "P3": clicks.p3,
    "P6": p6,
    "P10": consumers.p10,
}


def main() -> int:
    """The command."""
    only = [word for word in os.environ.get("ONLY", "").split(",") if word] or list(GROUPS)
    wrong = [word for word in only if word not in GROUPS]
    if wrong:
        sys.stderr.write(f"no figure is called {wrong[0]}; there are {', '.join(GROUPS)}\n")
        return 2
    runs = 1 if os.environ.get("QUICK") else 5
    report = Report()
    for name in only:
        GROUPS[name](report, runs)
    report.write(Path("build/bench.json"))
    sys.stdout.write("written to build/bench.json\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make bench`: figures against references of the same run.

    ONLY=P1,P2          these figures
    QUICK=1             P1, P2, P2r, P2d, P3, P6, one run each
    FULL=1              also what takes long: P1s, P9
    RECIPIENTS=100000   of the campaigns (20,000)

The default is the median of five runs, of three where one takes long.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from bench.figures import chain, clicks, consumers, crowded, mails, segments, start
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
    report.add(Figure("P2", "1/s", found, references, floor="14 × plain"))


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


def p8(report: Report, runs: int) -> None:
    """From the post of the form to the bait mail at the sink, at 100 posts a second."""
    for mode, floor in (("embedded", "200"), ("scaled", "500")):
        found = [chain.to_mail(mode) for _ in range(min(runs, 3))]
        report.add(Figure(f"P8.{mode}", "ms", found, note="p99 at 100 posts a second", floor=floor))


def p12(report: Report, runs: int) -> None:
    """Submissions while a campaign runs, and the campaign's memory."""
    found = [crowded.crowded(_recipients()) for _ in range(min(runs, 3))]
    quiet = [run["P12.quiet"] for run in found]
    note = "p99 at 200 posts a second; the reference is the same when quiet"
    report.add(Figure("P12", "ms", [run["P12"] for run in found], quiet, note=note, floor="100"))
    report.add(Figure("P2m", "MB", [run["P2m"] for run in found], floor="60", note="over idle"))


def p1k(report: Report, runs: int) -> None:
    """Scaled: submissions until all of them are counted everywhere."""
    references, found = [], []
    for _ in range(min(runs, 3)):
        references.append(leads.bare(5.0))
        found.append(chain.durable_and_counted(10.0))
    counted = [run["P1k"] for run in found]
    report.add(Figure("P1k", "1/s", counted, references, floor="0.3 × bare"))
    accepted = [run["P1k.accepted"] for run in found]
    report.add(Figure("P1k.accepted", "1/s", accepted, references, note="answered with 202"))


def p1s(report: Report, _runs: int) -> None:
    """The highest constant rate with flat lag, held for 5 minutes."""
    report.add(Figure("P1s", "1/s", [chain.sustained()], [leads.bare(5.0)], floor="reported"))


def p9(report: Report, _runs: int) -> None:
    """500 posts a second for 10 minutes in the scaled mode."""
    found = chain.to_funnel()
    report.add(Figure("P9", "s", [found["P9"]], note="p99 from post to funnel", floor="2"))
    report.add(Figure("P9.lag", "s", [found["P9.lag"]], note="until the lag is 0", floor="10"))


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
    "P4": segments.p4,
    "P6": p6,
    "P10": consumers.p10,
    "P8": p8,
    "P12": p12,
    "P1k": p1k,
    "P1s": p1s,
    "P9": p9,
}
QUICK = ("P1", "P2", "P2r", "P2d", "P3", "P6")
LONG = ("P1s", "P9")
"""Only with FULL=1, or by name."""


def _usual() -> list[str]:
    if os.environ.get("QUICK"):
        return [name for name in QUICK if name in GROUPS]
    return [name for name in GROUPS if os.environ.get("FULL") or name not in LONG]


def main() -> int:
    """The command."""
    only = [word for word in os.environ.get("ONLY", "").split(",") if word] or _usual()
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

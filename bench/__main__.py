"""`make bench`: figures against references of the same run.

    ONLY=P1,P2          these figures
    QUICK=1             P1, P2, P2r, P2d, P3, P6, one run each, campaigns of 20,000: three minutes
    FULL=1              also what takes long: P1s, P9, the soak
    RECIPIENTS=20000    of the campaigns (100,000)
    PEOPLE=100000       of the large installation of P4, P7, P10, P11 (1,000,000)
    LARGE=/some/where   keep that installation there for the next run
    SOAK=120            seconds of the soak (600)

The default is the median of five runs, of three where one takes long; it stays within 45 minutes.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench.figures import (
    clicks,
    consumers,
    crowded,
    imports,
    mails,
    pages,
    scaled,
    segments,
    size,
    soak,
    start,
    submissions,
)
from bench.report import Report

GROUPS: dict[str, tuple[Callable[[Report, int], None], int]] = {
    "P1": (submissions.p1, 95),
    "P2": (mails.p2, 190),
    "P2r": (mails.p2r, 280),
    "P2d": (mails.p2d, 240),
    "P3": (clicks.p3, 130),
    "P6": (start.p6, 45),
    "P12": (crowded.p12, 200),
    "P5": (imports.p5, 60),
    "P8": (scaled.p8, 240),
    "P1k": (scaled.p1k, 240),
    "P11": (pages.p11, 460),
    "P7": (size.p7, 300),
    "P4": (segments.p4, 40),
    "P10": (consumers.p10, 150),
    "P1s": (scaled.p1s, 900),
    "P9": (scaled.p9, 720),
    "soak": (soak.soak, 660),
}
"""What measures a figure and those beside it, and about how many seconds that takes on two cores.

They run in this order: P11 makes the large installation (five of its minutes), and only P10 leaves it full of events.
"""

QUICK = ("P1", "P2", "P2r", "P2d", "P3", "P6")
LONG = ("P1s", "P9", "soak")
"""Only with FULL=1, or by name."""


def chosen(only: str, *, quick: bool, full: bool) -> list[str]:
    """The groups to run, in their order. Raises `KeyError` for a name that is none."""
    if only:
        wanted = [word for word in only.split(",") if word]
        for word in wanted:
            GROUPS[word]
        return [name for name in GROUPS if name in wanted]
    if quick:
        return list(QUICK)
    return [name for name in GROUPS if full or name not in LONG]


def main() -> int:
    """The command."""
    quick = bool(os.environ.get("QUICK"))
    try:
        names = chosen(os.environ.get("ONLY", ""), quick=quick, full=bool(os.environ.get("FULL")))
    except KeyError as error:
        sys.stderr.write(f"no figure is called {error.args[0]}; there are {', '.join(GROUPS)}\n")
        return 2
    if quick:
        os.environ.setdefault("RECIPIENTS", str(mails.QUICK_RECIPIENTS))
    runs = 1 if quick else 5
    estimate = sum(GROUPS[name][1] for name in names) * (1 if not quick else 1 / 5)
    settings = {
        "figures": names,
        "runs": f"{runs}, at most 3 where one takes over 30 s",
        "recipients": mails.recipients(),
        **{word: os.environ[word] for word in ("PEOPLE", "SOAK") if word in os.environ},
    }
    report = Report(settings)
    report.begin()
    sys.stdout.write(f"about {estimate / 60:.0f} minutes\n")
    for name in names:
        begun = time.monotonic()
        GROUPS[name][0](report, runs)
        report.took[name] = round(time.monotonic() - begun)
        report.write(Path("build/bench.json"))
    sys.stdout.write(f"seconds: {report.took}\nwritten to build/bench.json\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

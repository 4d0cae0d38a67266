"""The figures of the chain (P8, P1k, P1s, P9): how often they are measured, and against what."""

from bench.figures import chain, submissions
from bench.report import Figure, Report


def p8(report: Report, runs: int) -> None:
    """From the post of the form to the bait mail at the sink, at 100 posts a second."""
    for mode in ("embedded", "scaled"):
        found = [chain.to_mail(mode) for _ in range(min(runs, 3))]
        report.add(Figure(f"P8.{mode}", "ms", found, note="p99 at 100 posts a second"))


def p1k(report: Report, runs: int) -> None:
    """Scaled: submissions until all of them are counted everywhere."""
    references, found = [], []
    for _ in range(min(runs, 3)):
        references.append(submissions.bare(5.0))
        found.append(chain.durable_and_counted(10.0))
    report.add(Figure("P1k", "1/s", [run["P1k"] for run in found], references))
    accepted = [run["P1k.accepted"] for run in found]
    report.add(Figure("P1k.accepted", "1/s", accepted, references, note="answered with 202"))


def p1s(report: Report, _runs: int) -> None:
    """The highest constant rate with flat lag, held for 5 minutes."""
    report.add(Figure("P1s", "1/s", [chain.sustained()], [submissions.bare(5.0)]))


def p9(report: Report, _runs: int) -> None:
    """500 posts a second for 10 minutes in the scaled mode."""
    found = chain.to_funnel()
    report.add(Figure("P9", "s", [found["P9"]], note="p99 from post to funnel"))
    report.add(Figure("P9.lag", "s", [found["P9.lag"]], note="until the lag is 0"))

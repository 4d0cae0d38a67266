"""P7: what a submission and a mail of a campaign cost at a million people and 200 finished campaigns,
against 10,000 and one.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import mails
from bench.figures.submissions import load, make_bait
from bench.made.ledger import Past
from bench.made.profiles import Crowd
from bench.made.whole import Made, large, make_installation
from bench.report import Figure, Report
from bench.system import Embedded, running, scratch

_PEOPLE = 10_000
_SECONDS = 8.0


@dataclass(frozen=True)
class Cost:
    """Of one submission or mail, in microseconds: by the clock, and of the process's processor time."""

    passed: float
    processor: float


def p7(report: Report, runs: int) -> None:
    """The same load on both, turn by turn. The small one begins each time as it was made."""
    runs = min(runs, 3)
    made = large()
    found: dict[str, list[tuple[Cost, Cost]]] = {"P7.P1": [], "P7.P2": []}
    with scratch() as folder:
        crowd = Crowd(_PEOPLE, verified=1, consented=1)
        small = make_installation(folder / "kept" / "data", crowd, Past(1, _PEOPLE))
        for run in range(runs):
            data = folder / f"run{run}" / "data"
            shutil.copytree(small.data, data)
            for name, measure in (("P7.P1", _submissions), ("P7.P2", _campaign)):
                little = measure(data, small)
                found[name].append((little, measure(made.data, made)))
    for name, pairs in found.items():
        processor = [(little.processor, much.processor) for little, much in pairs]
        note = f"at {made.people:,} people; processor time: " + ", ".join(
            f"{much:.0f} against {little:.0f}" for little, much in processor
        )
        values = [much.passed for _, much in pairs]
        report.add(Figure(name, "µs", values, [little.passed for little, _ in pairs], note=note))


def _submissions(data: Path, made: Made) -> Cost:
    """Of new people, in a closed loop, with all that follows."""
    with running(data, made.key) as system:
        system.quiet()
        slug = f"size-{time.time_ns()}"
        make_bait(system, slug)
        load(system.port, slug, seconds=1)
        system.quiet()
        before = system.processor()
        answer = load(system.port, slug, seconds=_SECONDS)
        system.quiet()
        number = sum(answer["statuses"].values())
        passed = answer["elapsed"] / number
        return Cost(passed * 1e6, (system.processor() - before) / number * 1e6)


def _campaign(data: Path, made: Made) -> Cost:
    """To 10,000 people: everybody here, a group there. By the clock from the first mail to the last, by the processor all of it."""
    with scratch() as folder:
        record = folder / "record"
        record.touch()
        with (
            mails.sink(record) as port,
            running(data, made.key, **mails.sending_to(port)) as system,
        ):
            system.quiet()
            segment, recipients = _group(system, made)
            before = system.processor()
            mails.start_campaign(system, segment)
            passed = mails.wait_for_mails(record, recipients)
            system.quiet()
            taken = system.processor() - before
    return Cost(passed / recipients * 1e6, taken / recipients * 1e6)


def _group(system: Embedded, made: Made) -> tuple[str, int]:
    """A segment of the first group that was not written to, and its size: nobody is written to too often."""
    known = {one["name"] for one in system.call("GET", "/v1/segments?limit=100")["items"]}
    tag = next(tag for n in range(made.groups) if (tag := f"group-{n}") not in known)
    rule = {"all": [{"tag": tag}, {"consent": "marketing", "channel": "email"}]}
    segment = system.call("POST", "/v1/segments", {"name": tag, "rule": rule})["id"]
    return segment, int(system.call("GET", f"/v1/segments/{segment}/count")["count"])

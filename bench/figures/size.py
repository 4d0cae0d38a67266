"""P7: what a submission and a mail of a campaign cost at a million people and 200 finished campaigns,
against 10,000 and one.

The campaign is P2's: to 100,000 people there (one in ten, spread evenly over the time in which they came), to all
10,000 here. `P7.scattered` is one to 10,000 people there, one in a hundred.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import mails
from bench.figures.submissions import load, make_bait
from bench.made.ledger import Past
from bench.made.profiles import GROUPS, Crowd
from bench.made.whole import Made, large, make_installation
from bench.report import Figure, Report
from bench.system import Embedded, running, scratch

_PEOPLE = 10_000
_SECONDS = 8.0
_NAMES = ("P7.P1", "P7.P2", "P7.scattered")


@dataclass(frozen=True)
class Cost:
    """Of one submission or mail, in microseconds: by the clock, and of the process's processor time."""

    passed: float
    processor: float
    number: int


def p7(report: Report, runs: int) -> None:
    """The same load on both, turn by turn. The small one begins each time as it was made."""
    runs = min(runs, 3)
    made = large()
    found: dict[str, list[tuple[Cost, Cost]]] = {name: [] for name in _NAMES}
    with scratch() as folder:
        crowd = Crowd(_PEOPLE, verified=1, consented=1)
        small = make_installation(folder / "kept" / "data", crowd, Past(1, _PEOPLE))
        for run in range(runs):
            data = folder / f"run{run}" / "data"
            shutil.copytree(small.data, data)
            little = _submissions(data, small)
            found["P7.P1"].append((little, _submissions(made.data, made)))
            little = _campaign(data, small, "group")
            found["P7.P2"].append((little, _campaign(made.data, made, "crowd")))
            found["P7.scattered"].append((little, _campaign(made.data, made, "group")))
    for name, pairs in found.items():
        processor = [(little.processor, much.processor) for little, much in pairs]
        number = f" to {pairs[-1][1].number:,}" if name != "P7.P1" else ""
        note = f"at {made.people:,} people{number}; processor time: " + ", ".join(
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
        return Cost(passed * 1e6, (system.processor() - before) / number * 1e6, number)


def _campaign(data: Path, made: Made, kind: str) -> Cost:
    """To a `group` or a `crowd`. By the clock from the first mail to the last, by the processor all of it."""
    with scratch() as folder:
        record = folder / "record"
        record.touch()
        with (
            mails.sink(record) as port,
            running(data, made.key, **mails.sending_to(port)) as system,
        ):
            system.quiet()
            segment, recipients = _unwritten(system, made, kind)
            before = system.processor()
            mails.start_campaign(system, segment)
            passed = mails.wait_for_mails(record, recipients)
            system.quiet()
            taken = system.processor() - before
    return Cost(passed / recipients * 1e6, taken / recipients * 1e6, recipients)


def _unwritten(system: Embedded, made: Made, kind: str) -> tuple[str, int]:
    """A segment of a group or a crowd that was not written to, and its size: nobody is written to too often."""
    found = system.call("GET", "/v1/segments?limit=100")["items"]
    known = {one["name"] for one in found}
    tag = next((tag for tag in _tags(made.groups, kind) if tag not in known), None)
    if tag is None:
        raise RuntimeError("everybody of the large installation was written to: have it made anew")
    rule = {"all": [{"tag": tag}, {"consent": "marketing", "channel": "email"}]}
    segment = system.call("POST", "/v1/segments", {"name": tag, "rule": rule})["id"]
    return segment, int(system.call("GET", f"/v1/segments/{segment}/count")["count"])


def _tags(groups: int, kind: str) -> list[str]:
    """Crowds from the first on, groups from the last on, as the groups of a crowd are written to with it."""
    if kind == "crowd":
        return [f"crowd-{number}" for number in range(max(1, groups // GROUPS))]
    return [f"group-{number}" for number in reversed(range(groups))]

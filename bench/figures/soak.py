"""The soak: mixed traffic in one process for ten minutes (`SOAK=` seconds), and whether its memory stays flat.

Posts at a constant rate, clicks and opens of a set of mails at another, a campaign every minute or so.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from bench.figures import clicks, mails
from bench.figures.submissions import SLUG, load, make_bait
from bench.made.profiles import Crowd
from bench.made.whole import make_installation
from bench.report import Figure, Report
from bench.system import Embedded, running, scratch

_PEOPLE = 20_000
_POSTS, _CLICKS = 150.0, 300.0
_EVERY = 1.0
_PIECE = 20.0
_CAMPAIGN_EVERY = 60.0
_WARM = 30.0
_GROUPS = 20
_SHOWN = 10
"""Every how many samples one is reported."""

Sample = tuple[float, float]
"""Seconds since the beginning, MB."""


def soak(report: Report, _runs: int) -> None:
    """One run."""
    samples = soaked(float(os.environ.get("SOAK", "600")))
    third = max(1, len(samples) // 3)
    first = [memory for _, memory in samples[:third:_SHOWN]]
    last = [memory for _, memory in samples[-third::_SHOWN]]
    note = f"{samples[-1][0]:.0f} s; median of the last third against the first"
    report.add(Figure("soak", "MB", last, first, note=note))
    for name, part, note in (
        ("soak.slope", samples, "least squares over all of it"),
        ("soak.late", samples[-third:], "the same over the last third"),
    ):
        report.add(Figure(name, "MB/h", [slope(part) * 3600], note=note))


def slope(samples: list[Sample]) -> float:
    """MB a second of the straight line through the samples."""
    middle = sum(at for at, _ in samples) / len(samples)
    mean = sum(memory for _, memory in samples) / len(samples)
    over = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * (memory - mean) for at, memory in samples) / over if over else 0.0


def soaked(seconds: float) -> list[Sample]:
    """The process's resident memory, second by second, after half a minute in which it warms up."""
    with scratch() as folder:
        data = folder / "data"
        crowd = Crowd(_PEOPLE, verified=1, consented=1, groups=_GROUPS)
        made = make_installation(data, crowd, None)
        deliveries = clicks.make_deliveries(data)
        record = folder / "record"
        record.touch()
        with (
            mails.sink(record) as port,
            running(data, made.key, **mails.sending_to(port)) as system,
        ):
            system.quiet()
            make_bait(system)
            requests = b"\n".join(clicks.requests(data, deliveries))
            return _watched(system, requests, seconds)


def _watched(system: Embedded, requests: bytes, seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    begun = time.monotonic()
    campaigns = 0
    with ThreadPoolExecutor(2) as threads:
        posting = _Again(threads, lambda: load(system.port, SLUG, seconds=_PIECE, rate=_POSTS))
        clicking = _Again(threads, lambda: clicks.load(system.port, requests, _PIECE, _CLICKS))
        while (passed := time.monotonic() - begun) < _WARM + seconds:
            posting.look()
            clicking.look()
            if passed >= campaigns * _CAMPAIGN_EVERY:
                _campaign(system, f"group-{campaigns % _GROUPS}")
                campaigns += 1
            if passed >= _WARM:
                samples.append((passed - _WARM, system.memory()))
            time.sleep(_EVERY)
    system.quiet(900)
    return samples


class _Again:
    """Load that is begun anew each time that it is over."""

    def __init__(self, threads: ThreadPoolExecutor, work: Callable[[], Any]) -> None:
        self._threads = threads
        self._work = work
        self._running: Future[Any] = threads.submit(work)

    def look(self) -> None:
        """Raises what the load raised."""
        if self._running.done():
            self._running.result()
            self._running = self._threads.submit(self._work)


def _campaign(system: Embedded, tag: str) -> None:
    rule = {"all": [{"tag": tag}, {"consent": "marketing", "channel": "email"}]}
    name = f"Of the soak {time.time_ns()}"
    segment = system.call("POST", "/v1/segments", {"name": name, "rule": rule})
    mails.start_campaign(system, segment["id"])

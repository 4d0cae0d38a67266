"""P8 and P9: how long a lead takes through the whole chain; P1k and P1s: what the chain keeps up with.

The load client says when it meant to post person number n; the sink's record and the funnel are looked
at every few milliseconds. Both clocks are the machine's one monotonic clock.
"""

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from bench.figures.mails import sink
from bench.figures.submissions import SLUG, load, make_bait
from bench.load import percentile
from bench.scaled import ScaledSystem, scaled
from bench.system import BUILD, embedded

_LOOK = 0.002
_GLANCE = 0.2
"""Between two looks at four services' /metrics, each of which takes its part of the processors that are measured."""
_STALE_SECONDS = 2 * 2.0 + 0.5
_ARRIVAL_SECONDS = 120.0
_CATCH_UP_SECONDS = 300.0
_FLAT_SECONDS = 4.0
"""Two of what waits at the end of a load, two that a reading of the lag may be old."""
_PERSON = re.compile(rb"\tperson(\d+)\.")


class _System(Protocol):
    @property
    def port(self) -> int: ...
    def call(self, method: str, path: str, body: Any = None) -> Any: ...
    def lag(self) -> int: ...


def to_mail(mode: str, *, rate: float = 100.0, seconds: float = 20.0) -> float:
    """P8: p99 in ms from the intended post to the bait mail at the SMTP sink."""
    BUILD.mkdir(exist_ok=True)
    record = BUILD / f"sink-{time.time_ns()}"
    record.touch()
    start = embedded if mode == "embedded" else scaled
    try:
        with (
            sink(record) as port,
            start(BAITWELL_SMTP_URL=f"smtp://127.0.0.1:{port}?tls=never") as system,
        ):
            make_bait(system)
            load(system.port, SLUG, seconds=2, rate=rate, salt="warm")
            _until(lambda: _lines(record) >= int(2 * rate), _ARRIVAL_SECONDS)
            return _measured(system, record, rate, seconds)
    finally:
        record.unlink(missing_ok=True)


def _measured(system: _System, record: Path, rate: float, seconds: float) -> float:
    total = int(rate * seconds)
    arrived: dict[int, float] = {}
    with ThreadPoolExecutor(1) as threads, record.open("rb") as file:
        file.seek(0, 2)
        posting = threads.submit(
            load, system.port, SLUG, seconds=seconds, rate=rate, salt=str(time.time_ns())
        )
        for number in _arrivals(file, posting, total):
            arrived.setdefault(number, time.perf_counter())
        started = posting.result()["started"]
    took = [at - (started + (number - 1) / rate) for number, at in arrived.items()]
    return percentile(took, 0.99) * 1000


def _arrivals(file: Any, posting: "Future[Any]", total: int) -> Iterator[int]:
    """The numbers of the people whose mail has come, as it comes."""
    seen, rest = 0, b""
    end = time.monotonic() + _ARRIVAL_SECONDS
    while seen < total:
        if time.monotonic() > end:
            raise RuntimeError(f"{seen} of {total} bait mails arrived")
        if posting.done():
            posting.result()
        rest += file.read()
        *lines, rest = rest.split(b"\n")
        for line in lines:
            found = _PERSON.search(line)
            if found:
                seen += 1
                yield int(found[1])
        time.sleep(_LOOK)


def durable_and_counted(seconds: float) -> dict[str, float]:
    """P1k: leads a second from the first post until all of them are counted everywhere."""
    with scaled() as system:
        make_bait(system)
        warm = load(system.port, SLUG, seconds=1)
        _last_handled(system)
        found = load(system.port, SLUG, seconds=seconds)
        ended = _last_handled(system)
        total = sum(found["statuses"].values())
        if _counted(system) != total + sum(warm["statuses"].values()):
            raise RuntimeError(f"{_counted(system)} leads were counted, {total} of them now")
        return {"P1k": total / (ended - found["started"]), "P1k.accepted": float(found["rate"])}


def _last_handled(system: ScaledSystem) -> float:
    """Wait until nothing is left to do; the moment at which the last record was seen to be handled.

    The lag that /metrics tells may be 2 s old, a 0 too: it counts when it was read after that moment.
    """
    end = time.monotonic() + _CATCH_UP_SECONDS
    before, at = 0, time.perf_counter()
    while time.monotonic() < end:
        lag, handled = system.progress()
        now = time.perf_counter()
        if handled != before:
            before, at = handled, now
        elif lag == 0 and now - at > _STALE_SECONDS:
            return at
        time.sleep(_GLANCE)
    raise RuntimeError(f"it did not settle in {_CATCH_UP_SECONDS:g} s")


def sustained(seconds: float = 300.0) -> float:
    """P1s: the highest constant rate of leads with the whole chain keeping up, held for `seconds`."""
    with embedded() as system:
        make_bait(system)
        rate, step = 100.0, 1.5
        while step > 1.05:
            if _keeps_up(system, rate * step, 15.0):
                rate *= step
            else:
                step = 1 + (step - 1) / 2
        while not _keeps_up(system, rate, seconds):
            rate *= 0.9
        return rate


def _keeps_up(system: _System, rate: float, seconds: float) -> bool:
    """Whether all is done within moments of the end of the load, as it is where the lag stays flat."""
    found = load(system.port, SLUG, seconds=seconds, rate=rate)
    ended = time.monotonic()
    # records of several topics for each lead, of as many consumers: how many they are tells little
    _until(lambda: system.lag() == 0, _CATCH_UP_SECONDS)
    flat = time.monotonic() - ended <= _FLAT_SECONDS
    return flat and bool(found["elapsed"] <= seconds * 1.02 + 0.5)


def to_funnel(*, rate: float = 500.0, seconds: float = 600.0) -> dict[str, float]:
    """P9, scaled: p99 in s from the intended post to the funnel; seconds until the lag is 0 afterwards."""
    total = int(rate * seconds)
    with scaled() as system:
        make_bait(system)
        curve: list[tuple[int, float]] = []
        with ThreadPoolExecutor(1) as threads:
            posting = threads.submit(load, system.port, SLUG, seconds=seconds, rate=rate)
            while (counted := _counted(system)) < total:
                curve.append((counted, time.perf_counter()))
                if posting.done() and time.perf_counter() - curve[0][1] > seconds + 60:
                    raise RuntimeError(f"{counted} of {total} leads were counted")
                time.sleep(0.05)
            curve.append((counted, time.perf_counter()))
            answer = posting.result()
        ended = answer["started"] + seconds
        _until(lambda: system.lag() == 0, _CATCH_UP_SECONDS)
        return {
            "P9": _curve_p99(curve, answer["started"], rate),
            "P9.lag": max(0.0, time.perf_counter() - ended),
        }


def _counted(system: Any) -> int:
    answer = system.call("GET", f"/v1/funnel?by=bait&bait={SLUG}", service="metrics")
    items = [item for item in answer["items"] if item["label"] == SLUG and item["bait"]]
    return int(items[0]["bait"]["stages"]["submitted"]["total"]) if items else 0


def _curve_p99(curve: list[tuple[int, float]], started: float, rate: float) -> float:
    """Lead number n is in the funnel when the count has reached n."""
    took: list[float] = []
    for counted, at in curve:
        took += [at - (started + number / rate) for number in range(len(took), counted)]
    return percentile(took, 0.99)


def _lines(record: Path) -> int:
    return record.read_bytes().count(b"\n")


def _until(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"it did not settle in {seconds:g} s")
        time.sleep(0.05)

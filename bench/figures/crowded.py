"""P12 and P2m: people who leave a contact while a campaign runs at full speed, and what it takes of memory."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.figures import mails
from bench.figures.submissions import SLUG, load, make_bait
from bench.people import make_people
from bench.report import Figure, Report
from bench.system import BUILD, Embedded, embedded

RATE = 200.0
_CAMPAIGN = re.compile(rb"\tperson\d+@")


def crowded(recipients: int) -> dict[str, float]:
    """p99 (ms) of submissions when quiet and during the campaign; MB that the campaign took over idle."""
    BUILD.mkdir(exist_ok=True)
    record = BUILD / f"sink-{time.time_ns()}"
    record.touch()
    try:
        with (
            mails.sink(record) as port,
            embedded(
                lambda data: make_people(data, recipients), **mails.sending_to(port)
            ) as system,
        ):
            segment = mails.wait_for_people(system, recipients)
            make_bait(system)
            load(system.port, SLUG, seconds=1, rate=RATE)
            quiet = load(system.port, SLUG, seconds=5, rate=RATE)["p99"]
            return {"P12.quiet": quiet * 1000, **_during(system, segment, record, recipients)}
    finally:
        record.unlink(missing_ok=True)


def _during(system: Embedded, segment: str, record: Path, recipients: int) -> dict[str, float]:
    sent = _Sent(record)
    idle = most = system.memory()
    mails.start_campaign(system, segment)
    _until_sent(system, sent, 1)
    # the load has to be over before the campaign is
    seconds = max(2.0, recipients / 10_000)
    with ThreadPoolExecutor(1) as threads:
        posting = threads.submit(load, system.port, SLUG, seconds=seconds, rate=RATE)
        while not posting.done():
            most = max(most, system.memory())
            time.sleep(0.02)
        found = posting.result()
    if sent.count() >= recipients:
        raise RuntimeError("the campaign was over before the load: more recipients are needed")
    most = max(most, _until_sent(system, sent, recipients))
    return {"P12": found["p99"] * 1000, "P2m": most - idle}


class _Sent:
    """How many mails of the campaign the sink has: its people have no salt in their addresses."""

    def __init__(self, record: Path) -> None:
        self._file = record.open("rb")
        self._rest = b""
        self._found = 0

    def count(self) -> int:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self._found += sum(_CAMPAIGN.search(line) is not None for line in lines)
        return self._found


def _until_sent(system: Embedded, sent: _Sent, mails_sent: int) -> float:
    """Wait for so many mails at the sink; the most memory that was seen meanwhile."""
    most = 0.0
    end = time.monotonic() + 600
    while sent.count() < mails_sent:
        if time.monotonic() > end:
            raise RuntimeError("the mails did not arrive")
        most = max(most, system.memory())
        time.sleep(0.02)
    return most


def p12(report: Report, runs: int) -> None:
    """Submissions while a campaign runs, and the campaign's memory."""
    found = [crowded(mails.recipients()) for _ in range(min(runs, 3))]
    quiet = [run["P12.quiet"] for run in found]
    note = "p99 at 200 posts a second; the reference is the same when quiet"
    report.add(Figure("P12", "ms", [run["P12"] for run in found], quiet, note=note))
    report.add(Figure("P2m", "MB", [run["P2m"] for run in found], note="over idle"))

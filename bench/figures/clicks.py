"""P3: clicks and opens a second, durable and classified, against "bare" in the same run.

`python -m bench.figures.clicks PORT SECONDS [RATE]` is the client: it takes the bytes of its requests from the
standard input, one a line, and goes round in them.
"""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from bench.figures.submissions import bare
from bench.load import Maker, closed_loop, constant_rate, percentile
from bench.report import Figure, Report
from bench.system import Embedded, embedded
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from services.shared.events import TOPICS, Message, encode
from services.shared.events.parts import CausePart
from services.shared.events.push import PushSent
from services.shared.ids import Ids, derived
from services.shared.process.directory import DataDirectory
from services.shared.tokens import KeyRing, Tokens

DELIVERIES = 20_000
_CONNECTIONS = 64
_CAMPAIGN = derived("bench campaign", 1)
_TARGET = "https://shop.example/catalogue?from=mail"
_AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
_SETTLE_SECONDS = 120.0


def tracked(seconds: float) -> dict[str, float]:
    """Clicks and opens a second in a closed loop, then the p99 (ms) at half of that rate.

    Raises when one of those that were answered is not in the raw events at the end, classed.
    """
    ids: list[UUID] = []

    def prepare(data: Path) -> str:
        ids.extend(make_deliveries(data))
        return ""

    with embedded(prepare, BAITWELL_EARLY_SECONDS="0") as system:
        _settled(system)
        lines = b"\n".join(requests(system.data, ids))
        answered = load(system.port, lines, 1.0)["answered"]
        fast = load(system.port, lines, seconds)
        calm = load(system.port, lines, seconds, fast["rate"] / 2)
        answered += fast["answered"] + calm["answered"]
        begun = time.perf_counter()
        _settled(system, answered)
        return {
            "P3": fast["rate"],
            "P3.p99": calm["p99"] * 1000,
            "P3.settled": time.perf_counter() - begun,
        }


def p3(report: Report, runs: int) -> None:
    """Clicks and opens against bare, turn by turn."""
    references, found = [], []
    for _ in range(runs):
        references.append(bare(5.0))
        found.append(tracked(5.0))
    report.add(Figure("P3", "1/s", [run["P3"] for run in found], references))
    calm = [run["P3.p99"] for run in found]
    report.add(Figure("P3.p99", "ms", calm, note="constant rate, half of the measured one"))
    settled = [run["P3.settled"] for run in found]
    report.add(
        Figure("P3.settled", "s", settled, note="after the load, until all are classed and counted")
    )


def make_deliveries(data: Path) -> list[UUID]:
    """Write into the log what push says of mails that were sent; their ids."""
    directory = DataDirectory(data)
    directory.open()
    clock = SystemClock()
    ids = Ids(clock)
    made = [ids.new() for _ in range(DELIVERIES)]
    try:
        asyncio.run(_publish(directory, sent(made, clock)))
    finally:
        directory.close()
    return made


async def _publish(directory: DataDirectory, events: Iterator[Message]) -> None:
    bus = SqliteBus(directory.file("log"), SystemClock())
    await bus.start(tuple(TOPICS))
    while batch := list(islice(events, 2000)):
        await bus.publish(batch)
    await bus.close()


def sent(deliveries: list[UUID], clock: SystemClock) -> Iterator[Message]:
    """What push says of these mails."""
    for delivery in deliveries:
        key = derived("bench contact", delivery).hex
        event = PushSent(
            delivery_id=delivery,
            cause=CausePart(kind="campaign", id=str(_CAMPAIGN)),
            campaign_id=_CAMPAIGN,
            campaign_name="Catalogue",
            profile_id=derived("bench profile", delivery),
            contact_key=key,
            channel="email",
        )
        yield encode(
            event,
            event_id=derived(event.kind, delivery),
            key=key,
            occurred_at=clock.now(),
            source="push",
        )


def requests(data: Path, deliveries: list[UUID]) -> Iterator[bytes]:
    """A click and an open of every delivery, as JSON strings: one a line."""
    kept = json.loads((data / "secrets.json").read_text())
    tokens = Tokens(KeyRing.parse(kept["secret_keys"]))
    tail = f" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {_AGENT}\r\nAccept: */*\r\n\r\n"
    for delivery in deliveries:
        click = f"/c/{tokens.sign('c', delivery, 0, _TARGET)}?u={quote(_TARGET, safe='')}"
        for path in (click, f"/o/{tokens.sign('o', delivery)}"):
            yield json.dumps(f"GET {path}{tail}").encode()


def load(port: int, requests: bytes, seconds: float, rate: float | None = None) -> dict[str, Any]:
    """Send the requests round and round, in a closed loop unless at a rate; what came back."""
    words = [sys.executable, "-m", "bench.figures.clicks", str(port), str(seconds)]
    if rate:
        words.append(f"{rate:.1f}")
    done = subprocess.run(words, input=requests, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if not set(found["statuses"]) <= {"200", "302"}:
        raise RuntimeError(f"not all were answered: {found['statuses']}")
    return found


def _settled(system: Embedded, engagements: int | None = None) -> None:
    """Wait until nothing is to be done any more, and so many engagements are counted."""
    end = time.monotonic() + _SETTLE_SECONDS
    found = -1
    while time.monotonic() < end:
        if system.lag() == 0:
            with closing(
                sqlite3.connect(f"file:{system.data}/metrics.sqlite?mode=ro", uri=True)
            ) as db:
                waiting = db.execute("SELECT count(*) FROM waiting_engagements").fetchone()[0]
                (found,) = db.execute(
                    "SELECT count(*) FROM raw_events WHERE kind LIKE 'engagement.%'"
                ).fetchone()
            if not waiting and (engagements is None or found == engagements):
                return
        time.sleep(0.1)
    raise RuntimeError(f"{found} of {engagements} engagements were counted")


def _going_round(requests: list[bytes]) -> Maker:
    return lambda number: requests[number % len(requests)]


def main() -> None:
    """The client: prints one JSON object."""
    # imported here: the load client runs on the loop that servers use
    import uvloop

    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    maker = _going_round([json.loads(line).encode() for line in sys.stdin])
    start = time.perf_counter()
    if len(sys.argv) > 3:
        work = constant_rate(port, maker, _CONNECTIONS, seconds, float(sys.argv[3]))
    else:
        work = closed_loop(port, maker, _CONNECTIONS, seconds)
    tally = uvloop.run(work)
    elapsed = time.perf_counter() - start
    answer = {
        "rate": len(tally.seconds) / elapsed,
        "answered": len(tally.seconds),
        "statuses": {str(status): count for status, count in tally.statuses.items()},
        "p99": percentile(tally.seconds, 0.99),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

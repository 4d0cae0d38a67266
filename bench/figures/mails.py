"""P2: campaign mails a second to a raw local sink, against "plain" to the same sink in the same run.

P2r is the same over a round trip of 50 ms (the sink waits so long before each of its writes) and 100
connections, P2d with a DKIM signature of RSA-2048 on every mail (the sink takes no other).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.people import make_people
from bench.reference import plain as texts
from bench.report import Figure, Report
from bench.system import BUILD, Embedded, embedded
from services.push.channels.email.dkim.keys import new_key

ROUND_TRIP = 0.05
FAR_CONNECTIONS = 100

QUICK_RECIPIENTS = 20_000
_RECIPIENTS = 100_000
_SETTLE_SECONDS = 300
_SEND_SECONDS = 600

Measure = Callable[[], float]


@contextlib.contextmanager
def sink(record: Path | None = None, *options: str) -> Iterator[int]:
    """A raw SMTP sink in a process of its own; its port."""
    words = [sys.executable, "-m", "bench.sinks.smtp", *options]
    if record is not None:
        words += ["--record", str(record)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().split()[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def plain(seconds: float, *, delay: float = 0.0, connections: int = 10) -> float:
    """Messages a second of the reference."""
    with sink(None, "--delay", str(delay)) as port:
        words = ["-m", "bench.reference.plain", str(port), str(seconds), str(connections)]
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


def far_campaign(recipients: int) -> float:
    """The same over a round trip."""
    options = ("--delay", str(ROUND_TRIP))
    return campaign(recipients, *options, BAITWELL_MAIL_LANES=str(FAR_CONNECTIONS))


def signed_campaign(recipients: int) -> float:
    """The same with a signature on every mail."""
    BUILD.mkdir(exist_ok=True)
    key = new_key("baitwell.example", "bench", "rsa")
    with tempfile.NamedTemporaryFile(dir=BUILD, suffix=".pem") as file:
        file.write(key.pem())
        file.flush()
        entry = f"{key.domain}:{key.selector}:{Path(file.name).resolve()}"
        return campaign(recipients, "--only-signed", BAITWELL_DKIM_KEYS=entry)


def campaign(recipients: int, *options: str, **settings: str) -> float:
    """Mails a second, from the first to the last at the sink; each recipient exactly once.

    `options` are the sink's, `settings` the system's.
    """
    BUILD.mkdir(exist_ok=True)
    record = BUILD / f"sink-{os.getpid()}-{time.time_ns()}"
    record.touch()
    try:
        with (
            sink(record, *options) as port,
            embedded(
                lambda data: make_people(data, recipients), **sending_to(port), **settings
            ) as system,
        ):
            segment = wait_for_people(system, recipients)
            start_campaign(system, segment)
            seconds = wait_for_mails(record, recipients)
        found = [line.split("\t")[1] for line in record.read_text().splitlines()]
        if len(found) != recipients or len(set(found)) != recipients:
            raise RuntimeError(f"{len(found)} mails to {len(set(found))} of {recipients} people")
        return recipients / seconds
    finally:
        record.unlink(missing_ok=True)


def sending_to(port: int) -> dict[str, str]:
    """The settings of a system that mails to a sink, at any hour."""
    return {
        "BAITWELL_SMTP_URL": f"smtp://127.0.0.1:{port}?tls=never",
        "BAITWELL_QUIET_START": "00:00",
        "BAITWELL_QUIET_END": "00:00",
    }


def wait_for_people(system: Embedded, recipients: int) -> str:
    """The id of a segment that holds everybody, known to profile and to push."""
    rule = {"all": [{"tag": "bench"}, {"consent": "marketing", "channel": "email"}]}
    made = system.call("POST", "/v1/segments", {"name": "Everybody", "rule": rule})
    end = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < end:
        count = system.call("GET", f"/v1/segments/{made['id']}/count")["count"]
        if count == recipients and system.lag() == 0:
            system.quiet(_SETTLE_SECONDS)
            return str(made["id"])
        time.sleep(0.5)
    raise RuntimeError("the people did not arrive")


def start_campaign(system: Embedded, segment: str) -> None:
    """Start a campaign to the segment: a text and an HTML part, two of the person's fields, a link."""
    variables = [
        {"name": "name", "type": "text", "field": "name", "default": "friend"},
        {"name": "city", "type": "text", "field": "city", "default": "town"},
    ]
    text = texts.TEXT.replace("{{ link }}", "https://shop.example/catalogue")
    html = texts.HTML.replace("{{ link }}", "https://shop.example/catalogue")
    text = text.replace("Unsubscribe: {{ unsubscribe }}\n", "")
    html = html.replace('<p><a href="{{ unsubscribe }}">Unsubscribe</a></p>', "")
    html = html.replace('<img src="{{ pixel }}" alt="">', "")
    template = system.call(
        "POST",
        "/v1/templates",
        {
            "name": f"Catalogue {time.time_ns()}",
            "variables": variables,
            "default_language": "en",
            "contents": {"en": {"subject": texts.SUBJECT, "text": text, "html": html}},
        },
    )
    made = system.call(
        "POST",
        "/v1/campaigns",
        {"name": "Catalogue", "segment_id": segment, "template_id": template["id"]},
    )
    system.call("POST", f"/v1/campaigns/{made['id']}/start")


def wait_for_mails(record: Path, recipients: int) -> float:
    """Wait for so many mails at the sink; the seconds from the first to the last."""
    first = 0.0
    seen = 0
    end = time.monotonic() + _SEND_SECONDS
    with record.open("rb") as file:
        while time.monotonic() < end:
            seen += file.read().count(b"\n")
            now = time.perf_counter()
            if seen and not first:
                first = now
            if seen >= recipients:
                return now - first
            time.sleep(0.005)
    raise RuntimeError(f"{seen} of {recipients} mails arrived")


def recipients() -> int:
    """How many people a campaign goes to: `RECIPIENTS`."""
    return int(os.environ.get("RECIPIENTS", _RECIPIENTS))


def _compared(report: Report, name: str, runs: int, plainly: Measure, ours: Measure) -> None:
    """Campaign mails against plain, turn by turn; three runs where one is long."""
    if recipients() > QUICK_RECIPIENTS:
        runs = min(runs, 3)
    references, found = [], []
    for _ in range(runs):
        references.append(plainly())
        found.append(ours())
    report.add(Figure(name, "1/s", found, references, note=f"{recipients():,} people"))


def p2(report: Report, runs: int) -> None:
    """Campaign mails."""
    _compared(report, "P2", runs, lambda: plain(5.0), lambda: campaign(recipients()))


def p2r(report: Report, runs: int) -> None:
    """The same over a round trip of 50 ms, both with 100 connections."""
    far = partial(plain, 5.0, delay=ROUND_TRIP, connections=FAR_CONNECTIONS)
    _compared(report, "P2r", runs, far, lambda: far_campaign(recipients()))


def p2d(report: Report, runs: int) -> None:
    """The same with an RSA signature on every mail; plain has none."""
    _compared(report, "P2d", runs, lambda: plain(5.0), lambda: signed_campaign(recipients()))

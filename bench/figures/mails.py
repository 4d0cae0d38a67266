"""P2: campaign mails a second to a raw local sink, against "plain" to the same sink in the same run."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.people import make_people
from bench.reference import plain as texts
from bench.system import BUILD, Embedded, embedded

_SETTLE_SECONDS = 300
_SEND_SECONDS = 600


@contextlib.contextmanager
def sink(record: Path | None = None) -> Iterator[int]:
    """A raw SMTP sink in a process of its own; its port."""
    words = [sys.executable, "-m", "bench.sinks.smtp"]
    if record is not None:
        words += ["--record", str(record)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().split()[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def plain(seconds: float) -> float:
    """Messages a second of the reference."""
    with sink() as port:
        done = subprocess.run(
            [sys.executable, "-m", "bench.reference.plain", str(port), str(seconds)],
            capture_output=True,
            text=True,
            check=True,
        )
    return float(done.stdout)


def campaign(recipients: int) -> float:
    """Mails a second, from the first to the last at the sink; each recipient exactly once."""
    BUILD.mkdir(exist_ok=True)
    record = BUILD / f"sink-{os.getpid()}-{time.time_ns()}"
    record.touch()
    try:
        with (
            sink(record) as port,
            embedded(
                lambda data: make_people(data, recipients),
                BAITWELL_SMTP_URL=f"smtp://127.0.0.1:{port}?tls=never",
                BAITWELL_QUIET_START="00:00",
                BAITWELL_QUIET_END="00:00",
            ) as system,
        ):
            segment = _wait_for_people(system, recipients)
            _start(system, segment)
            seconds = _measure(record, recipients)
        found = [line.split("\t")[1] for line in record.read_text().splitlines()]
        if len(found) != recipients or len(set(found)) != recipients:
            raise RuntimeError(f"{len(found)} mails to {len(set(found))} of {recipients} people")
        return recipients / seconds
    finally:
        record.unlink(missing_ok=True)


def _wait_for_people(system: Embedded, recipients: int) -> str:
    """The id of a segment that holds everybody, known to profile and to push."""
    rule = {"all": [{"tag": "bench"}, {"consent": "marketing", "channel": "email"}]}
    made = system.call("POST", "/v1/segments", {"name": "Everybody", "rule": rule})
    end = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < end:
        count = system.call("GET", f"/v1/segments/{made['id']}/count")["count"]
        if count == recipients and system.lag() == 0:
            return str(made["id"])
        time.sleep(0.5)
    raise RuntimeError("the people did not arrive")


def _start(system: Embedded, segment: str) -> None:
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
            "name": "Catalogue",
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


def _measure(record: Path, recipients: int) -> float:
    """Seconds from the first to the last mail at the sink."""
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

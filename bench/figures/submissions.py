"""P1: durable submissions a second against "bare", both by the same closed-loop client in the same run."""

import json
import subprocess
import sys
from typing import Any, Protocol

from bench.report import Figure, Report
from bench.system import embedded, free_port, program

SLUG = "bench"


def load(
    port: int, slug: str, *, seconds: float, rate: float | None = None, salt: str | None = None
) -> dict[str, Any]:
    """Run the load client; what it found. Raises when anything but 202 came back.

    Person number n leaves `person<n>.<salt>@people.example`.
    """
    words = [sys.executable, "-m", "bench.load", str(port), slug, "--seconds", str(seconds)]
    if rate:
        words += ["--rate", f"{rate:.1f}"]
    if salt:
        words += ["--salt", salt]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if set(found["statuses"]) != {"202"}:
        raise RuntimeError(f"not all were accepted: {found['statuses']}")
    return found


class System(Protocol):
    """What takes leads: one process or four."""

    @property
    def port(self) -> int: ...
    def call(self, method: str, path: str, body: Any = None) -> Any: ...


def make_bait(system: System, slug: str = SLUG) -> None:
    """A bait with one e-mail field, as the README makes it."""
    system.call(
        "POST",
        "/v1/baits",
        {
            "slug": slug,
            "title": "The price list of the year",
            "description": "Every price, one page.",
            "language": "en",
            "resource": {"kind": "text", "text": "The prices."},
            "consents": [
                {
                    "purpose": "marketing",
                    "channel": "email",
                    "version": "1",
                    "text": "Send me news by mail.",
                }
            ],
        },
    )


def bare(seconds: float) -> float:
    """Requests a second of the reference."""
    port = free_port()
    with program(["bench.reference.bare", str(port)], f"http://127.0.0.1:{port}/openapi.json"):
        return float(load(port, SLUG, seconds=seconds)["rate"])


def submissions(seconds: float) -> dict[str, float]:
    """Submissions a second in a closed loop, then the p99 at half of that rate; ms."""
    with embedded() as system:
        make_bait(system)
        load(system.port, SLUG, seconds=1)
        rate = float(load(system.port, SLUG, seconds=seconds)["rate"])
        calm = load(system.port, SLUG, seconds=seconds, rate=rate / 2)
        return {"P1": rate, "P1.p99": calm["p99"] * 1000}


def p1(report: Report, runs: int) -> None:
    """Submissions against bare, turn by turn."""
    seconds = 5.0
    references = []
    found: list[dict[str, float]] = []
    for _ in range(runs):
        references.append(bare(seconds))
        found.append(submissions(seconds))
    report.add(Figure("P1", "1/s", [run["P1"] for run in found], references))
    note = "constant rate, half of the measured one, from the intended start"
    report.add(Figure("P1.p99", "ms", [run["P1.p99"] for run in found], note=note))

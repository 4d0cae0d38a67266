"""P4: a segment over a million people: its count, the walk through its members, one who has just joined."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.figures.submissions import make_bait
from bench.made.whole import large
from bench.report import Figure, Report
from bench.system import Embedded, running

_PAGE = 5000
_FRESH = "fresh"
_FRESH_SECONDS = 30.0

RULE: dict[str, Any] = {
    "all": [
        {"tag": "bench"},
        {"field": "city", "in": ["Ningbo", "Suzhou"]},
        {"engagement": "clicked", "within_days": 3650},
    ]
}
"""Three conditions, one of them behaviour."""

MANY: dict[str, Any] = {"field": "city", "in": ["Ningbo", "Suzhou"]}
"""A fifth of the people."""


def p4(report: Report, runs: int) -> None:
    """Count, build and freshness, with the people of the large installation."""
    made = large()
    found: list[dict[str, float]] = []
    with running(made.data, made.key) as system:
        system.quiet()
        found += [_once(system) for _ in range(runs)]
        scans = [_full_scan(system.data) for _ in range(runs)]
        fresh = [_fresh(system, number) for number in range(runs)]
    note = f"{made.people:,} profiles; the reference is count(*) of a full scan"
    counts = [run["P4.count"] for run in found]
    report.add(Figure("P4.count", "s", counts, scans, note=note))
    note = f"a walk through {found[0]['members']:,.0f} members"
    report.add(Figure("P4.build", "s", [run["P4.build"] for run in found], note=note))
    report.add(Figure("P4.fresh", "s", fresh, note="a new person is counted"))


def _once(system: Embedded) -> dict[str, float]:
    rule = {"name": f"Clicked {time.time_ns()}", "rule": RULE}
    counted = system.call("POST", "/v1/segments", rule)["id"]
    walked = system.call("POST", "/v1/segments", {"name": f"Many {time.time_ns()}", "rule": MANY})
    begun = time.perf_counter()
    if not system.call("GET", f"/v1/segments/{counted}/count")["count"]:
        raise RuntimeError("the segment is empty")
    count_seconds = time.perf_counter() - begun
    begun, members, after = time.perf_counter(), 0, ""
    while True:
        path = f"/v1/segments/{walked['id']}/members?limit={_PAGE}{after}"
        page = system.call("GET", path)
        members += len(page["items"])
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    build_seconds = time.perf_counter() - begun
    return {"P4.count": count_seconds, "P4.build": build_seconds, "members": members}


def _full_scan(data: Path) -> float:
    with closing(sqlite3.connect(data / "profile.sqlite")) as connection:
        begun = time.perf_counter()
        connection.execute("SELECT count(*) FROM profiles NOT INDEXED").fetchone()
        return time.perf_counter() - begun


def _fresh(system: Embedded, number: int) -> float:
    """Seconds from the answer to a lead until a segment counts its person."""
    slug = f"{_FRESH}-{time.time_ns()}"
    make_bait(system, slug)
    rule = {"bait": slug}
    segment = system.call("POST", "/v1/segments", {"name": f"Fresh {number}", "rule": rule})["id"]
    path = f"/v1/segments/{segment}/count"
    before = system.call("GET", path)["count"]
    contact = {"email": f"fresh{number}.{time.time_ns()}@people.example"}
    system.call("POST", f"/v1/baits/{slug}/leads", {"contact": contact, "language": "en"})
    begun = time.perf_counter()
    while system.call("GET", path)["count"] == before:
        if time.perf_counter() - begun > _FRESH_SECONDS:
            raise RuntimeError("the new person was not counted")
        time.sleep(0.005)
    return time.perf_counter() - begun

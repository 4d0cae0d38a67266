"""A whole installation with a past: all four databases, as they would stand after two years."""

import atexit
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from bench.made.counts import grow_counts
from bench.made.ledger import Past, grow_ledger
from bench.made.profiles import Crowd, grow_profiles
from bench.made.reach import grow_reach
from bench.system import BUILD, first_start
from services.shared.process.directory import DataDirectory

MILLION = 1_000_000
GROUP = 10_000
"""About so many people of the large installation are in each group."""


@dataclass(frozen=True)
class Made:
    """A data directory that was filled; `key` is the admin key of its first start."""

    data: Path
    key: str
    people: int
    groups: int
    events: int


def make_installation(data: Path, crowd: Crowd, past: Past | None) -> Made:
    """Make a data directory with these people, and what was sent to them. None: nothing was sent or counted."""
    key = first_start(data)
    file = DataDirectory(data).file
    grow_profiles(file("profile"), crowd)
    grow_reach(file("push"), file("profile"))
    events = 0
    if past is not None:
        grow_ledger(file("push"), file("profile"), past)
        events = grow_counts(file("metrics"), file("profile"), file("push"))
    return Made(data, key, crowd.count, crowd.groups, events)


@cache
def large() -> Made:
    """A million people (`PEOPLE`), 200 campaigns, ten million events; made once a run, taken away at its end.

    `LARGE` names a folder in which it is kept for the next run.
    """
    people = int(os.environ.get("PEOPLE", MILLION))
    kept = os.environ.get("LARGE")
    if kept and (Path(kept) / "made.json").exists():
        made = json.loads((Path(kept) / "made.json").read_text())
        return Made(**made | {"data": Path(made["data"])})
    BUILD.mkdir(exist_ok=True)
    folder = Path(kept or tempfile.mkdtemp(prefix="bench-large-", dir=BUILD)).resolve()
    if not kept:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    begun = time.perf_counter()
    crowd = Crowd(people, groups=max(1, int(people * 0.56) // GROUP))
    made = make_installation(folder / "data", crowd, Past(mails=max(1, people * 15 // 1000)))
    sys.stdout.write(
        f"made {made.people:,} people and {made.events:,} events"
        f" in {time.perf_counter() - begun:.0f} s\n"
    )
    if kept:
        (folder / "made.json").write_text(json.dumps(asdict(made) | {"data": str(made.data)}))
    return made

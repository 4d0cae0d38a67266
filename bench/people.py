"""People for campaigns: verified, consenting, known to profile and to push."""

from pathlib import Path

from bench.made.profiles import Crowd
from bench.made.whole import make_installation


def make_people(data: Path, count: int, *, seed: int = 1) -> str:
    """Make a data directory with `count` people, all of whom may be written to. The admin key."""
    return make_installation(data, Crowd(count, seed, verified=1, consented=1), None).key

"""`python -m tests.simulation [--seed N | --seeds COUNT [--first N]] [--mailer]`: replay one seed, or run many."""

import argparse
import sys
import time

from tests.simulation.world import ground, run


def main() -> int:
    """The exit code: 1 when a seed is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this one and say all of it")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--mailer", action="store_true", help="every world has a ledger")
    asked = parser.parse_args()
    seeds = (
        [asked.seed] if asked.seed is not None else range(asked.first, asked.first + asked.seeds)
    )
    wrong = crashes = points = 0
    begun = time.perf_counter()
    with ground() as on:
        for seed in seeds:
            report = run(seed, on, mailer=asked.mailer)
            crashes += len(report.crashes)
            points += report.points
            wrong += bool(report.faults)
            if report.faults or asked.seed is not None:
                print(report, flush=True)
    seconds = time.perf_counter() - begun
    print(f"{len(seeds)} seeds, {wrong} wrong, {crashes} crashes, {points} points, {seconds:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""P6: one process with everything: start to ready, memory after start, import time."""

import re
import subprocess
import sys
import time

from bench.system import embedded, first_start


def start_and_memory() -> dict[str, float]:
    """Seconds from fork to ready: on a new data directory, and on one that is there; MB after 2 s."""
    with embedded() as system:
        first = system.start_seconds
    with embedded(first_start) as system:
        time.sleep(2)
        return {
            "P6.first": first,
            "P6.start": system.start_seconds,
            "P6.memory": system.memory(),
        }


def import_seconds() -> float:
    """What `-X importtime` says of the command line's imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import services.__main__"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"\|\s*(\d+) \| services\.__main__", done.stderr)
    return int(found[-1]) / 1e6

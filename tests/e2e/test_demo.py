"""`make demo`: a week that looks like one."""

import re
from pathlib import Path

from tests.components.processes import free_port
from tests.e2e.systems import command


def rows(told: str, of: str) -> dict[str, dict[str, int]]:
    """The table of a funnel, by its first column: what people did, without machines."""
    lines = told.split(f"  {of} ", 1)[1].splitlines()
    stages = lines[0].split()
    found: dict[str, dict[str, int]] = {}
    for line in lines[1:]:
        if not line.strip() or "three more by machines" in line:
            break
        counts = re.findall(r"(\d+)(?: \(\+\d+m\))?(?=\s|$)", line)[-len(stages) :]
        found[line.split("  ")[1]] = dict(zip(stages, map(int, counts), strict=True))
    return found


def test_a_week_has_people_who_look_and_go_and_campaigns_that_reach_readers(
    tmp_path: Path,
) -> None:
    env = {"BAITWELL_DATA": str(tmp_path), "BAITWELL_PORT": str(free_port())}
    done = command("demo", "--visitors", "20", "--leave", env=env)
    assert done.returncode == 0, done.stderr
    baits = rows(done.stdout, "bait")
    assert len(baits) == 3
    for counts in baits.values():
        assert counts["displayed"] > counts["submitted"] >= counts["opened"] > 0
    campaigns = rows(done.stdout, "campaign")
    assert len(campaigns) == 2
    for counts in campaigns.values():
        assert counts["sent"] > counts["displayed"] >= counts["clicked"] > 0

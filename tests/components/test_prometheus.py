"""The provider of Prometheus."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.components.prometheus import Prometheus


async def test_it_answers_queries_about_what_it_scrapes(
    start_prometheus: Callable[[dict[str, Any]], Prometheus],
) -> None:
    server = start_prometheus({"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}})
    assert server.query("vector(1)") == [({}, 1.0)]


async def test_it_scrapes_itself(
    start_prometheus: Callable[[dict[str, Any] | Path], Prometheus], tmp_path: Path
) -> None:
    targets = tmp_path / "targets.json"
    targets.write_text("[]")
    server = start_prometheus(
        {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
            "scrape_configs": [{"job_name": "x", "file_sd_configs": [{"files": [str(targets)]}]}],
        }
    )
    targets.write_text(f'[{{"targets": ["{server.url.removeprefix("http://")}"]}}]')
    samples = await server.until('up{job="x"} == 1')
    assert samples[0][1] == 1.0


def test_promtool_says_what_is_wrong(
    promtool: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text('{"groups": [{"name": "g", "rules": [{"alert": "a", "expr": "1 +"}]}]}')
    checked = promtool("check", "rules", rules)
    assert checked.returncode != 0
    assert "parse error" in checked.stdout + checked.stderr

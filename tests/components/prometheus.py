"""A real Prometheus with a configuration of the test's own, and promtool."""

import functools
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.components.absence import Missing, refuse
from tests.components.processes import ChildProcess, free_port
from tests.components.waiting import PATIENCE, eventually

Sample = tuple[dict[str, str], float]


@functools.cache
def missing() -> Missing | None:
    """Why no Prometheus can be had, or None."""
    absent = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if not absent:
        return None
    return Missing("Prometheus", f"no {' and no '.join(absent)}", "apt install prometheus")


class Prometheus:
    """A running server. Configuration is a mapping or the path of a file."""

    def __init__(self, config: Mapping[str, Any] | Path, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not isinstance(config, Path):
            path = folder / "prometheus.yml"
            path.write_text(json.dumps(config))  # JSON is YAML
            config = path
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._client = httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE)
        self._process = ChildProcess(
            [
                str(shutil.which("prometheus")),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--web.enable-lifecycle",
            ],
            folder / "prometheus.log",
        )
        try:
            self._process.wait_ready(self._ready, "Prometheus")
        except BaseException:
            self.stop()
            raise

    def _ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def api(self, path: str, **params: str) -> Any:
        """`data` of an answer of `/api/v1/<path>`; an error of the server's raises with its words."""
        answer = self._client.get(f"/api/v1/{path}", params=params).json()
        if answer["status"] != "success":
            raise ValueError(f"Prometheus on {params}: {answer['error']}")
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """The instant vector (or scalar, without labels) that `expression` gives now."""
        data = self.api("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in data["result"]]

    async def until(
        self,
        expression: str,
        holds: Callable[[list[Sample]], bool] = bool,
        seconds: float = PATIENCE,
    ) -> list[Sample]:
        """The first answer for which `holds` (by default: that is not empty)."""
        answers: list[list[Sample]] = []

        def asked() -> bool:
            answers.append(self.query(expression))
            return holds(answers[-1])

        await eventually(asked, f"Prometheus: {expression}", seconds)
        return answers[-1]

    def stop(self) -> None:
        self._client.close()
        self._process.stop()


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[[Mapping[str, Any] | Path], Prometheus]]:
    """Starts servers that end with the test."""
    if absent := missing():
        refuse(absent)
    started: list[Prometheus] = []

    def start(config: Mapping[str, Any] | Path) -> Prometheus:
        started.append(Prometheus(config, tmp_path / f"prometheus-{len(started)}"))
        return started[-1]

    try:
        yield start
    finally:
        for server in started:
            server.stop()


@pytest.fixture
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `promtool` with the words given; its output is in the result, also when it fails."""
    if absent := missing():
        refuse(absent)

    def run(*words: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["promtool", *map(str, words)], input=stdin, capture_output=True, text=True, check=False
        )

    return run

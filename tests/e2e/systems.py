"""Baitwell as a user has it: real processes that are started, stopped, killed and looked into.

`Embedded` is `python -m services run`; `Scaled` is four processes behind the routing proxy, on a
PostgreSQL and a Kafka that the tests give. Both are driven over HTTP only.
"""

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.components.processes import ChildProcess, free_port
from tests.components.waiting import PATIENCE

SERVICES = ("capture", "profile", "push", "metrics")
KEY = re.compile(r"\bbw[a-z]?_[A-Za-z0-9_-]{20,}")
NO_QUIET_HOURS = {"BAITWELL_QUIET_START": "00:00", "BAITWELL_QUIET_END": "00:00"}
"""Equal ones mean none: what a test sees does not depend on the time of day."""
STOP_SECONDS = 5.0
"""What a user is promised; `make chaos` (R15) looks whether it is kept, beside traffic."""

_READY_SECONDS = 90.0


def answers(url: str) -> bool:
    """Whether everything behind a URL is ready."""
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/health/ready", trust_env=False, timeout=5).status_code == 200
    return False


def command(*words: str, env: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `python -m services …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "services", *words],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class RunningSystem(ABC):
    """A system with its settings, its folder and its log files."""

    mode: str

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {"BAITWELL_PUBLIC_URL": self.url, **NO_QUIET_HOURS, **settings}
        self.admin_key = ""

    @property
    def admin(self) -> dict[str, str]:
        """Headers of a caller with every scope."""
        return {"authorization": f"Bearer {self.admin_key}"}

    @property
    @abstractmethod
    def targets(self) -> dict[str, str]:
        """Where each service tells its metrics, as host:port by service."""

    @abstractmethod
    def start(self) -> None:
        """Start all processes, wait until they are ready."""

    @abstractmethod
    def stop(self) -> dict[str, int]:
        """SIGTERM to all; the exit statuses by process. Fails when one does not end by itself."""

    @abstractmethod
    def kill(self) -> None:
        """SIGKILL to all."""

    def new_key(self, name: str, *scopes: str) -> str:
        """A key made by the command line, also while the system runs."""
        words = [word for scope in scopes for word in ("--scope", scope)]
        made = command("keys", "create", name, *words, env=self.settings)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self.stop()
        self.start()

    def logs(self) -> str:
        """All that the processes have written so far."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


class Embedded(RunningSystem):
    """Everything in one process."""

    mode = "embedded"

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, settings or {})
        self.data = folder / "data"
        self.settings.update(BAITWELL_DATA=str(self.data), BAITWELL_PORT=str(self.port))
        self.process: ChildProcess | None = None

    @property
    def targets(self) -> dict[str, str]:
        return dict.fromkeys(SERVICES, f"127.0.0.1:{self.port}")

    def start(self) -> None:
        self.process = ChildProcess(
            [sys.executable, "-m", "services", "run"],
            self.folder / "baitwell.log",
            env=self.settings,
        )
        self.process.wait_ready(lambda: answers(self.url), "Baitwell", _READY_SECONDS)
        found = KEY.search(self.process.log.read_text())
        if found and not self.admin_key:
            self.admin_key = found[0]

    def stop(self) -> dict[str, int]:
        if self.process is None:
            return {}
        return {"all": _stopped(self.process, "Baitwell")}

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()


class Scaled(RunningSystem):
    """Four processes and the proxy. `database` is the URL of an empty PostgreSQL database."""

    mode = "scaled"

    def __init__(
        self,
        folder: Path,
        database: str,
        kafka_servers: str,
        kafka_prefix: str,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, settings or {})
        self.ports = {name: free_port() for name in SERVICES}
        self.upstreams = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.settings.update(
            {
                "BAITWELL_DATABASE_URL": database,
                "BAITWELL_KAFKA_SERVERS": kafka_servers,
                "BAITWELL_KAFKA_PREFIX": kafka_prefix,
                "BAITWELL_TRUSTED_PROXIES": "127.0.0.1",
                "BAITWELL_SECRET_KEYS": f"1:{secrets.token_urlsafe(32)}",
                "BAITWELL_CONTACT_KEY": secrets.token_urlsafe(32),
                "BAITWELL_INTERNAL_KEY": f"bwi_{secrets.token_urlsafe(32)}",
                **{f"BAITWELL_{name.upper()}_URL": url for name, url in self.upstreams.items()},
            }
        )
        self.processes: dict[str, ChildProcess] = {}

    @property
    def targets(self) -> dict[str, str]:
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}

    def start(self) -> None:
        if not self.admin_key:
            migrated = command("migrate", env=self.settings)
            assert migrated.returncode == 0, migrated.stderr
        for name in SERVICES:
            self.start_service(name)
        self.processes["proxy"] = ChildProcess(
            [
                sys.executable,
                "-m",
                "tests.e2e.front",
                str(self.port),
                *(f"{name}={url}" for name, url in self.upstreams.items()),
            ],
            self.folder / "proxy.log",
        )
        for name, url in self.upstreams.items():
            self.processes[name].wait_ready(lambda url=url: answers(url), name, _READY_SECONDS)  # type: ignore[misc]
        self.processes["proxy"].wait_ready(lambda: answers(self.url), "proxy")
        self.admin_key = self.admin_key or self.new_key("first", "admin")

    def start_service(self, name: str) -> None:
        """Start the process of one service."""
        self.processes[name] = ChildProcess(
            [sys.executable, "-m", "services", "run", name],
            self.folder / f"{name}.log",
            env={**self.settings, "BAITWELL_PORT": str(self.ports[name])},
        )

    def stop(self) -> dict[str, int]:
        proxy = self.processes.pop("proxy", None)
        if proxy is not None:
            proxy.stop()
        return {name: _stopped(process, name) for name, process in self.processes.items()}

    def kill(self) -> None:
        for process in self.processes.values():
            process.kill()


def _stopped(process: ChildProcess, name: str) -> int:
    status = process.stop(PATIENCE)
    assert status != -signal.SIGKILL, f"{name} did not stop:\n{process.tail()}"
    return status

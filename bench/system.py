"""Systems under test: programs started for a figure, on free ports, with data under `build/`."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BUILD = Path("build")

_KEPT_SECONDS = 2.1
_SERVICES = ("capture", "profile", "push", "metrics")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_http(url: str, process: "subprocess.Popen[Any]", seconds: float = 60) -> None:
    """Wait until `url` answers 200."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the program for {url} ended with {process.returncode}")
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(url, timeout=1) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.005)
    raise RuntimeError(f"{url} did not answer in {seconds} s")


def inherited() -> dict[str, str]:
    """Our environment, with bytecode kept as Python does it by itself: an installation has it compiled."""
    return {key: text for key, text in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


@contextlib.contextmanager
def program(
    words: list[str], ready: str, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `python -m …` until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        env={**inherited(), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_http(ready, process)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass
class Embedded:
    """A running one-process system."""

    port: int
    data: Path
    process: "subprocess.Popen[str]"
    key: str
    start_seconds: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call with the admin key; the JSON of its answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read()!r}") from error
        return json.loads(text) if text else None

    def lag(self) -> int:
        """Records that consumers have still to handle, and events that still wait for the log.

        -1 when that is not known yet. What is told may be two seconds old.
        """
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found = re.findall(
            r"^baitwell_(?:consumer_lag_records|outbox_messages)\{.*\} (\S+)$", text, re.MULTILINE
        )
        if len(found) <= len(_SERVICES):
            return -1
        return int(sum(float(value) for value in found))

    def quiet(self, seconds: float = 300) -> None:
        """Wait until there is nothing to handle or to publish.

        The system keeps what it last read of its lag for two seconds, and knows none when it has just begun:
        what it says counts when it says so again of another moment.
        """
        end = time.monotonic() + seconds
        before = -1
        while True:
            time.sleep(_KEPT_SECONDS)
            lag = self.lag()
            if lag == before == 0:
                return
            before = lag
            if time.monotonic() > end:
                raise RuntimeError(f"there is work left after {seconds:g} s")

    def processor(self) -> float:
        """Seconds of processor time that the process and those that it has made have taken."""
        return sum(_processor(pid) for pid in (self.process.pid, *self._made()))

    def memory(self) -> float:
        """Resident memory in MB (10^6 bytes), with what the processes that it has made do not share with it."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        own = pages * os.sysconf("SC_PAGE_SIZE")
        return (own + sum(_private(pid) for pid in self._made())) / 1e6

    def _made(self) -> list[int]:
        pid = self.process.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def peak_memory(self) -> float:
        """The most resident memory that it ever had, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024 / 1e6


def _processor(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _private(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(
        int(kilobytes)
        for kilobytes in re.findall(r"^Private_\w+:\s+(\d+) kB", rollup, re.MULTILINE)
    )


def first_start(data: Path) -> str:
    """Start a system once on a new data directory: schemas and secrets are made. The admin key."""
    with running(data) as system:
        return system.key


@contextlib.contextmanager
def embedded(
    prepare: Callable[[Path], str] | None = None, **environment: str
) -> Iterator[Embedded]:
    """A fresh one-process system with the product's defaults.

    `prepare` may fill its data first; it gives the admin key, or "" when none was made yet.
    """
    with scratch() as folder:
        key = prepare(folder / "data") if prepare is not None else ""
        with running(folder / "data", key, **environment) as system:
            yield system


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder under `build/` until the block ends."""
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=BUILD)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running(data: Path, key: str = "", **environment: str) -> Iterator[Embedded]:
    """A one-process system with the product's defaults on `data`. `key`: what its first start printed."""
    port = free_port()
    data.parent.mkdir(parents=True, exist_ok=True)
    banner = data.parent / "banner"
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "services", "run"],
        env={
            **inherited(),
            "BAITWELL_DATA": str(data),
            "BAITWELL_PORT": str(port),
            "BAITWELL_PUBLIC_URL": f"http://localhost:{port}",
            **environment,
        },
        stdout=banner.open("w"),
        stderr=(data.parent / "log").open("w"),
        text=True,
    )
    try:
        wait_http(f"http://127.0.0.1:{port}/health/ready", process)
        seconds = time.perf_counter() - begun
        yield Embedded(port, data, process, key or _key(banner), seconds)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def _key(banner: Path) -> str:
    """The admin key that the first start printed; empty when it was not the first."""
    end = time.monotonic() + 10
    while "    data  " not in banner.read_text():
        if time.monotonic() > end:
            raise RuntimeError("the banner was not printed")
        time.sleep(0.01)
    found = re.search(r"\bbw_\S+", banner.read_text())
    return found.group() if found else ""

"""A real Kafka broker: one per run, shared by all workers, gone when the run has ended (however it did)."""

import fcntl
import functools
import os
import re
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.components.absence import Missing, refuse

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "kafka" / "kafka.sh"
OLDEST_JAVA = 17


def _java_version() -> int | None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', told.stderr + told.stdout)
    return int(version.group(1)) if version else None


@functools.cache
def missing() -> Missing | None:
    """Why no broker can be had, or None. The first call may fetch the jars."""
    java = _java_version()
    if java is None or java < OLDEST_JAVA:
        reason = f"Java {java} is too old" if java else "no Java"
        return Missing("Kafka", reason, "apt install default-jre-headless maven (Java 17 or newer)")
    fetched = subprocess.run([SCRIPT, "fetch"], capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        reason = (fetched.stderr.strip().splitlines() or ["its jars cannot be fetched"])[-1]
        return Missing(
            "Kafka", reason.removeprefix("kafka.sh: "), "apt install maven, and a network"
        )
    return None


@dataclass(frozen=True)
class Broker:
    """A running broker: its `host:port`, and names for topics that nobody else uses."""

    bootstrap: str

    def new_prefix(self) -> str:
        return f"test-{uuid.uuid4().hex[:8]}-"


def _environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "KAFKA_DEV_DIR": str(folder),
        "KAFKA_DEV_PORT": "0",
        # a machine may have much else to do; a node that has died is noticed at once
        "KAFKA_DEV_WAIT": "300",
        "KAFKA_DEV_OWNER": os.environ.get("BAITWELL_TEST_OWNER", str(os.getpid())),
    }


def start_shared(root: Path, **settings: str) -> Broker:
    """Start the broker of this run, or find it started by another worker; `settings` are the script's."""
    with (root / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [SCRIPT, "start"],
            env={**_environment(root / "kafka"), **settings},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"Kafka did not start:\n{done.stderr}")
    return Broker(done.stdout.strip())


def node(root: Path, verb: str, number: int) -> None:
    """`kill`, `stop` or `start` one node of the brokers of this run."""
    subprocess.run(
        [SCRIPT, verb, str(number)],
        env=_environment(root / "kafka"),
        capture_output=True,
        check=True,
    )


def stop_shared(root: Path) -> None:
    """Stop the broker of this run and delete its data; nothing if it never started."""
    folder = root / "kafka"
    if folder.exists():
        subprocess.run(
            [SCRIPT, "clean"], env=_environment(folder), capture_output=True, check=False
        )


@pytest.fixture(scope="session")
def kafka() -> Broker:
    """The broker of this run. Topics need a prefix of their own: see `kafka_prefix`."""
    if absent := missing():
        refuse(absent)
    return start_shared(Path(os.environ["BAITWELL_TEST_ROOT"]))


@pytest.fixture(scope="module")
def kafka_prefix(kafka: Broker) -> str:
    """What this suite puts before its topics' names: topics are made once a suite, since that takes a second."""
    return kafka.new_prefix()

"""No broker outlives the run that started it, however that run ends."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.components.kafka import start_shared
from tests.components.waiting import wait_until


def brokers_in(folder: Path) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in process.info["cmdline"] or ())
        and "kafka.Kafka" in process.info["cmdline"]
    ]


@pytest.mark.needs_kafka
def test_a_broker_goes_with_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        monkeypatch.setenv("BAITWELL_TEST_OWNER", str(owner.pid))
        start_shared(tmp_path)
        assert brokers_in(tmp_path)
    finally:
        owner.kill()
        owner.communicate()
    wait_until(lambda: not brokers_in(tmp_path), "the broker ended")
    wait_until(lambda: not (tmp_path / "kafka").exists(), "its data is gone")

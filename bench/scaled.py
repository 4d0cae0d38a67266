"""The scaled system under test: four processes over a real Kafka and PostgreSQL, on free ports."""

import contextlib
import io
import json
import os
import random
import re
import shutil
import socket
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.system import BUILD
from deploy.scaled.__main__ import SERVICES, Scaled

_HANDLED = re.compile(r"^baitwell_events_handled_total\{.*\} (\S+)$", re.MULTILINE)
_LAG = re.compile(r"^baitwell_(?:consumer_lag_records|outbox_messages)\{.*\} (\S+)$", re.MULTILINE)


@dataclass
class ScaledSystem:
    """A running system of four processes; `port` is capture's, where leads go."""

    whole: Scaled
    key: str

    @property
    def port(self) -> int:
        return self.port_of("capture")

    def port_of(self, service: str) -> int:
        """Where a service answers."""
        return self.whole.port + 1 + SERVICES.index(service)

    def call(self, method: str, path: str, body: Any = None, *, service: str = "capture") -> Any:
        """A call with the admin key; the JSON of its answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port_of(service)}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self.key}",
                "content-type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def lag(self) -> int:
        """Records that consumers have still to handle, and events that still wait for the log; 2 s old at most."""
        return self.progress()[0]

    def progress(self) -> tuple[int, int]:
        """The lag, and how many records all consumers have handled so far, as of now."""
        lag = handled = 0.0
        for service in SERVICES:
            url = f"http://127.0.0.1:{self.port_of(service)}/metrics"
            with urllib.request.urlopen(url, timeout=30) as answer:
                text = answer.read().decode()
            lag += sum(map(float, _LAG.findall(text)))
            handled += sum(map(float, _HANDLED.findall(text)))
        return int(lag), int(handled)


@contextlib.contextmanager
def scaled(**environment: str) -> Iterator[ScaledSystem]:
    """A fresh system with the product's defaults, a durable PostgreSQL and one broker."""
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-scaled-", dir=BUILD)).resolve()
    folder.chmod(0o755)  # the database may run as a user of its own
    before = dict(os.environ)
    os.environ.update(environment)
    whole = Scaled(folder, _base_port())
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            whole.start()
        key = whole.create_key()
        assert key is not None
        yield ScaledSystem(whole, key)
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            whole.stop()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def _base_port() -> int:
    """A port whose twenty followers, and those of Kafka, are free, below those that outgoing connections take."""
    while True:
        port = random.randrange(12_000, 30_000)
        if all(_is_free(port + step) for step in (*range(21), 120)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

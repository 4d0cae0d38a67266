"""Child processes that never outlive the tests."""

import contextlib
import functools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.components.waiting import PATIENCE, TooLate, wait_until

# Below the ports that systems hand out by themselves, above those of the tests' brokers: nobody's outgoing
# connection takes one between its choice and its use, or while what listens on it is started again.
_PORTS = range(27_200, 32_700)


def free_port() -> int:
    """A port of the loopback interface that nobody uses now, whatever was tried on it before."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            probe.listen()
            return port


def listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@functools.cache
def _leash(death_signal: str) -> tuple[str, ...]:
    """Words before a command so that it gets `death_signal` when we die; none where that is not to be had."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    words = (setpriv, "--pdeathsig", death_signal)
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else ()


def plain_user() -> str | None:
    """The account for programs that refuse to run as root; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    return None


def as_user(user: str | None) -> dict[str, Any]:
    """Arguments of `Popen` that run a program as `user`; none for None."""
    if user is None:
        return {}
    account = pwd.getpwnam(user)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": [], "cwd": "/"}


class ChildProcess:
    """A program started for the tests, with its output in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        env: dict[str, str] | None = None,
    ) -> None:
        self.log = log
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_leash(stop_signal.name.removeprefix("SIG")), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env} if env else None,
                **as_user(user),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait for `ready`; a process that ends first raises with the end of its log."""
        try:
            wait_until(lambda: not self.running or ready(), f"{what} ready", seconds)
        except TooLate as error:
            raise TooLate(f"{error}; its log ends:\n{self.tail()}") from None
        if not self.running:
            raise RuntimeError(f"{what} ended while starting; its log ends:\n{self.tail()}")

    def tail(self, lines: int = 20) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, seconds: float = 10.0) -> int:
        """Ask it to end, kill it after `seconds`; the exit status."""
        if self.running:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()

    def signal(self, what: signal.Signals) -> None:
        """Send it a signal: SIGSTOP acts out a machine that stands still."""
        self._process.send_signal(what)

    def kill(self) -> None:
        """Act out a crash."""
        self._process.kill()
        self._process.wait()

"""Making the process: before anything runs, so that what was imported is in memory once."""

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

_GO = b"g"

Main = Callable[[socket.socket], int]


@dataclass(frozen=True)
class Forked:
    """A process that waits for its `go`, and the socket that leads to it."""

    service: str
    pid: int
    socket: socket.socket

    def go(self) -> None:
        """It may begin."""
        self.socket.sendall(_GO)

    def kill(self) -> None:
        """End it now; returns when it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def reap(self) -> None:
        """Take note of its end, and wait for it."""
        os.waitpid(self.pid, 0)


def can_fork() -> bool:
    """Whether this machine makes such processes, and has a processor for one."""
    return hasattr(os, "fork") and (os.cpu_count() or 1) > 1


def fork(service: str, main: Main) -> Forked:
    """A process that runs a service's `main` with its end of the socket when it is told to, or ends with this one.

    There may be no thread and no event loop yet.
    """
    ours, theirs = socket.socketpair()
    # what is there stays: a collection that moved it to another generation would copy every page
    gc.collect()
    gc.freeze()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        theirs.close()
        return Forked(service, pid, ours)
    ours.close()
    # who made it says when it ends, after what it has begun
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    told = theirs.recv(len(_GO)) == _GO
    raise SystemExit(main(theirs) if told else 0)

"""Signs finished messages in processes of their own, so that the loop never waits for a signature.

Only digests of 32 octets go over and signatures come back, many in one write (decision 0009).
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from services.push.channels.email.dkim.signature import Name, Unsigned, prepare
from services.push.channels.email.message import Composed
from services.shared.clock import Clock

if TYPE_CHECKING:
    # cryptography is not loaded where nothing is signed
    from services.push.channels.email.dkim.keys import SigningKey

log = logging.getLogger(__name__)

_HELPER = Path(__file__).with_name("helper.py")
_CLOSE_SECONDS = 1.0
_PATIENCE = 1.0
"""A process that has work and gives nothing back for so long stands still: a signature takes a third of a
thousandth of it, and a message is sent only within two seconds."""
_AGAIN = 5.0
"""Seconds after which one is started in the place of one that ended."""

Done = Callable[[Composed], None]
"""Takes the signed message. Called in the loop, also from within `sign`."""


@dataclass(slots=True)
class _Job:
    """A message on its way, and the headers that came back."""

    composed: Composed
    unsigned: list[Unsigned]
    keys: tuple[int, ...]
    headers: list[bytes]
    done: Done


class Signer:
    """The keys of an installation at work. A message of a domain without a key stays as it is."""

    def __init__(self, keys: Sequence["SigningKey"], clock: Clock, *, helpers: int = 0) -> None:
        self._keys = tuple(keys)
        self._clock = clock
        self._wanted = helpers or min(2, os.cpu_count() or 1)
        self._helpers: list[_Helper] = []
        self._starting = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None
        self._by_domain: dict[bytes, tuple[int, ...]] = {}
        for number, key in enumerate(self._keys):
            domain = key.domain.encode()
            self._by_domain[domain] = (*self._by_domain.get(domain, ()), number)
        self._names: Mapping[bytes, tuple[Name, ...]] = {
            domain: tuple(self._keys[number].name for number in numbers)
            for domain, numbers in self._by_domain.items()
        }

    def covers(self, composed: Composed) -> bool:
        """Whether there is a key for its sender."""
        return _domain(composed) in self._by_domain

    def sign_now(self, composed: Composed) -> Composed:
        """The message with its signatures, made here and now: for mail that is rare."""
        signed: list[Composed] = []
        self._finish_here(self._job(composed, signed.append))
        return signed[0]

    def sign(self, composed: Composed, done: Done) -> None:
        """Hand over a message that is covered; `done` gets it back signed, perhaps before an earlier one.

        While no helper runs it is signed here, at once.
        """
        job = self._job(composed, done)
        if not self._helpers:
            self._finish_here(job)
            return
        helper = min(self._helpers, key=lambda helper: len(helper.jobs))
        helper.take(job)

    async def start(self) -> None:
        """See that the helpers run. Where they can't be started, signing goes on in this process."""
        async with self._starting:
            while self._keys and len(self._helpers) < self._wanted:
                helper = _Helper(self._finish_here, self._lost, self._clock)
                try:
                    await helper.start([key.der() for key in self._keys])
                except OSError as error:
                    log.error("no process for signatures could be started: %s", error)
                    return
                self._helpers.append(helper)

    async def close(self) -> None:
        """End the helpers; what they have not signed is signed here."""
        if self._again is not None:
            self._again.cancel()
        while self._helpers:
            await self._helpers.pop().close(self._clock)

    def _job(self, composed: Composed, done: Done) -> _Job:
        domain = _domain(composed)
        at = int(self._clock.now().timestamp())
        numbers = self._by_domain.get(domain, ())
        unsigned = prepare(composed.raw, self._names[domain], at) if numbers else []
        return _Job(composed, unsigned, numbers, [], done)

    def _finish_here(self, job: _Job) -> None:
        for number in range(len(job.headers), len(job.unsigned)):
            unsigned = job.unsigned[number]
            key = self._keys[job.keys[number]]
            job.headers.append(unsigned.signed(key.sign(unsigned.digest)))
        _hand_back(job)

    def _lost(self, helper: "_Helper") -> None:
        log.error("a process for signatures ended; until there is another, mail is signed here")
        if helper in self._helpers:
            self._helpers.remove(helper)
        if self._again is None or self._again.done():
            self._again = asyncio.create_task(self._begin_again())

    async def _begin_again(self) -> None:
        await self._clock.sleep(_AGAIN)
        await self.start()


class _Helper(asyncio.Protocol):
    """One process that signs, and what it was given."""

    def __init__(
        self,
        finish_here: Callable[[_Job], None],
        lost: Callable[["_Helper"], None],
        clock: Clock,
    ) -> None:
        self.jobs: deque[_Job] = deque()
        self._clock = clock
        self._watching: asyncio.Task[None] | None = None
        self._heard = 0
        self._finish_here = finish_here
        self._on_lost = lost
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._rest = b""
        self._closing = False
        self._gone = asyncio.Event()

    async def start(self, keys: Sequence[bytes]) -> None:
        """Start the process. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.to_thread(_spawn, theirs.fileno())
            except OSError:
                ours.close()
                raise
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
        framed = [len(key).to_bytes(2, "big") + key for key in keys]
        self._transport.write(bytes([len(keys)]) + b"".join(framed))

    def take(self, job: _Job) -> None:
        """Have a message signed; all that are given in one turn of the loop go over together."""
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self.jobs.append(job)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        for number, unsigned in zip(job.keys, job.unsigned, strict=True):
            self._out.append(b"%c%b" % (number, unsigned.digest))

    def _flush(self) -> None:
        if self._transport is not None and not self._gone.is_set():
            self._transport.write(b"".join(self._out))
        self._out.clear()

    async def _watch(self) -> None:
        """End the process when it stands still; what it still says is heard, the rest is signed here."""
        while self.jobs and not self._gone.is_set():
            heard = self._heard
            if await self._clock.wait(self._gone, _PATIENCE):
                return
            if self.jobs and self._heard == heard and self._process is not None:
                log.error("a process for signatures stands still and is ended")
                self._process.kill()
                return

    def data_received(self, data: bytes) -> None:
        self._heard += 1
        data = self._rest + data
        at = 0
        while len(data) >= at + 2:
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if len(data) < end:
                break
            job = self.jobs[0]
            job.headers.append(job.unsigned[len(job.headers)].signed(data[at + 2 : end]))
            if len(job.headers) == len(job.unsigned):
                _hand_back(self.jobs.popleft())
            at = end
        self._rest = data[at:]

    def connection_lost(self, _exc: Exception | None) -> None:
        self._gone.set()
        if not self._closing:
            self._on_lost(self)
            if self._process is not None:
                self._process.kill()
                self._process.wait()
        self._rescue()

    def _rescue(self) -> None:
        """Sign what never came back, one a turn of the loop."""
        if self.jobs:
            self._finish_here(self.jobs.popleft())
            asyncio.get_running_loop().call_soon(self._rescue)

    async def close(self, clock: Clock) -> None:
        """End the process; one that stands still is ended all the same."""
        self._closing = True
        if self._watching is not None:
            self._watching.cancel()
        if self._transport is not None:
            self._transport.close()
            if not await clock.wait(self._gone, _CLOSE_SECONDS):
                self._transport.abort()
                await self._gone.wait()
        if self._process is not None:
            try:
                await asyncio.to_thread(self._process.wait, _CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await asyncio.to_thread(self._process.wait)


def _spawn(pipe: int) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-P", str(_HELPER)]
    return subprocess.Popen(words, stdin=pipe, stdout=pipe)  # noqa: S603  # our own program


def _domain(composed: Composed) -> bytes:
    return composed.sender.rpartition(b"@")[2].lower()


def _hand_back(job: _Job) -> None:
    composed = job.composed
    job.done(composed._replace(raw=b"".join([*job.headers, composed.raw])))

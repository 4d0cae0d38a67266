"""The load client: raw HTTP/1.1 over kept connections, in a process of its own.

Closed loop: every connection sends its next request when the last is answered (for rates). Constant
rate: requests start on a fixed schedule and each is measured from its intended start (for percentiles),
so that a server that stalls can't hide the requests it kept from being sent.
"""

import argparse
import asyncio
import collections
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

Maker = Callable[[int], bytes]
"""The bytes of the request of a number."""


@dataclass
class Tally:
    """What came back."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)
    started: float = 0.0
    """When request number 1 was to start, by `time.perf_counter()`."""


class Connection(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self, answered: Callable[["Connection", int], None]) -> None:
        self._answered = answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.intended = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, intended: float) -> None:
        self.intended = intended
        assert self._transport is not None
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._answered(self, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def closed_loop(port: int, maker: Maker, connections: int, seconds: float) -> Tally:
    """As fast as the answers come."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    numbers = iter(range(1, sys.maxsize))
    end = time.perf_counter() + seconds
    done = loop.create_future()
    running = connections

    def answered(connection: Connection, status: int) -> None:
        nonlocal running
        now = time.perf_counter()
        tally.statuses[status] += 1
        tally.seconds.append(now - connection.intended)
        if now < end:
            connection.send(maker(next(numbers)), now)
            return
        connection.close()
        running -= 1
        if not running and not done.done():
            done.set_result(None)

    tally.started = time.perf_counter()
    for _ in range(connections):
        _, connection = await loop.create_connection(
            lambda: Connection(answered), "127.0.0.1", port
        )
        connection.send(maker(next(numbers)), time.perf_counter())
    async with asyncio.timeout(seconds + 30):
        await done
    return tally


async def constant_rate(
    port: int, maker: Maker, connections: int, seconds: float, rate: float
) -> Tally:
    """On a schedule, whatever the answers do."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    free: collections.deque[Connection] = collections.deque()
    late: collections.deque[float] = collections.deque()
    numbers = iter(range(1, sys.maxsize))

    def answered(connection: Connection, status: int) -> None:
        tally.statuses[status] += 1
        tally.seconds.append(time.perf_counter() - connection.intended)
        if late:
            connection.send(maker(next(numbers)), late.popleft())
        else:
            free.append(connection)

    for _ in range(connections):
        _, connection = await loop.create_connection(
            lambda: Connection(answered), "127.0.0.1", port
        )
        free.append(connection)
    start = tally.started = time.perf_counter()
    total = int(rate * seconds)
    begun = 0
    while begun < total:
        now = time.perf_counter()
        while begun < total and start + begun / rate <= now:
            intended = start + begun / rate
            begun += 1
            if free:
                free.popleft().send(maker(next(numbers)), intended)
            else:
                late.append(intended)
        await asyncio.sleep(0.0005)
    async with asyncio.timeout(60):
        while len(tally.seconds) < total:  # noqa: ASYNC110  # a counter has no event
            await asyncio.sleep(0.01)
    for connection in free:
        connection.close()
    return tally


def post(path: str, body: bytes, headers: str = "") -> bytes:
    """The bytes of a JSON POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def submissions(slug: str, salt: str) -> Maker:
    """Posts of leads: every one another person, with a consent and a source."""
    path = f"/v1/baits/{slug}/leads"

    def make(number: int) -> bytes:
        body = {
            "contact": {"email": f"person{number}.{salt}@people.example"},
            "consents": {"marketing.email": True},
            "source": {"utm_source": "bench", "landing_page": "https://shop.example/price-list"},
            "language": "en",
        }
        return post(path, json.dumps(body).encode())

    return make


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """The command: prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("slug")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--salt", default=str(time.time_ns()))
    parsed = parser.parse_args()
    # imported here: the load client runs on the loop that servers use, where it is to be had
    import uvloop

    maker = submissions(parsed.slug, parsed.salt)
    start = time.perf_counter()
    if parsed.rate:
        work = constant_rate(parsed.port, maker, parsed.connections, parsed.seconds, parsed.rate)
    else:
        work = closed_loop(parsed.port, maker, parsed.connections, parsed.seconds)
    tally = uvloop.run(work)
    elapsed = time.perf_counter() - start
    answer = {
        "rate": len(tally.seconds) / elapsed,
        "statuses": {str(status): count for status, count in tally.statuses.items()},
        "p50": percentile(tally.seconds, 0.50),
        "p99": percentile(tally.seconds, 0.99),
        "started": tally.started,
        "elapsed": elapsed,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()

"""A link between two network namespaces that loses and delays packets, or is cut: what `tc netem` does.

    nsenter --net=… python -m tests.chaos.packets FD NAME ADDRESS PEER

Kernels often come without netem, and seldom without TUN devices. FD is the device at the other end; this
end's one is made here. A line on stdin says how the link is from now on, as `LOSS DELAY` (a share, each
way; seconds, each way); the answer is how many packets were taken and lost so far. It ends with stdin.
"""

import asyncio
import fcntl
import os
import random
import struct
import subprocess
import sys
from collections.abc import Sequence

_SET_NAME = 0x400454CA  # TUNSETIFF
_PLAIN_TUN = 0x0001 | 0x1000  # IFF_TUN | IFF_NO_PI
_LARGEST = 65_536


def device(name: str) -> int:
    """The descriptor of a new TUN device in the namespace of this process. Raises OSError."""
    made = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(made, _SET_NAME, struct.pack("16sH", name.encode(), _PLAIN_TUN))
    except OSError:
        os.close(made)
        raise
    return made


def address(name: str, own: str, peer: str) -> Sequence[Sequence[str]]:
    """The commands that give a device its address."""
    return (
        ("ip", "address", "add", own, "peer", peer, "dev", name),
        ("ip", "link", "set", name, "up"),
    )


class Wire:
    """Packets from each end to the other."""

    def __init__(self, ends: Sequence[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._random = random.Random()  # packets, not secrets
        self._loss, self._delay = 0.0, 0.0
        self.taken = self.lost = 0
        for here, there in (ends, ends[::-1]):
            self._loop.add_reader(here, self._take, here, there)

    def be(self, loss: float, delay: float) -> None:
        """Lose and delay like this from now on."""
        self._loss, self._delay = loss, delay

    def _take(self, here: int, there: int) -> None:
        for _ in range(64):
            try:
                packet = os.read(here, _LARGEST)
            except BlockingIOError:
                return
            self.taken += 1
            if self._random.random() < self._loss:
                self.lost += 1
            elif self._delay:
                self._loop.call_later(self._delay, self._give, there, packet)
            else:
                self._give(there, packet)

    def _give(self, there: int, packet: bytes) -> None:
        try:
            os.write(there, packet)
        except (BlockingIOError, OSError):
            self.lost += 1


async def _carry(ends: Sequence[int]) -> None:
    wire = Wire(ends)
    loop = asyncio.get_running_loop()
    said = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), sys.stdin)
    print("ready", flush=True)
    while words := (await said.readline()).split():
        wire.be(float(words[0]), float(words[1]))
        print(wire.taken, wire.lost, flush=True)


def main() -> None:
    """The command."""
    far, name, own, peer = sys.argv[1:]
    near = device(name)
    for words in (*address(name, own, peer), ("ip", "link", "set", "lo", "up")):
        subprocess.run(words, check=True)
    asyncio.run(_carry((near, int(far))))


if __name__ == "__main__":
    main()

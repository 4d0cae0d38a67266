"""A network namespace for what is tested; all that it stands on is reached over a link that can be cut (R6)."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.chaos.case import NotHere
from tests.chaos.packets import address, device

_ENTER_SECONDS = 10.0
_ADDRESSES = "198.18"
"""Of the range that is kept for tests of networks (RFC 2544)."""


@dataclass
class Link:
    """`near` is this machine as it is seen over the link; `inside` the namespace, reached by a wire without fault."""

    near: str
    far: str
    here: str
    inside: str
    enter: Sequence[str]
    """Words before a command that has to run in the namespace."""

    _carrier: asyncio.subprocess.Process
    lost: int = 0

    async def be(self, loss: float = 0.0, delay: float = 0.0) -> None:
        """Lose this share of the packets and delay the others by so many seconds, each way, from now on."""
        assert self._carrier.stdin is not None
        assert self._carrier.stdout is not None
        self._carrier.stdin.write(f"{loss} {delay}\n".encode())
        _, lost = (await self._carrier.stdout.readline()).split()
        self.lost = int(lost)


@asynccontextmanager
async def linked() -> AsyncIterator[Link]:
    """A namespace and its link while the block runs; nothing of them is left afterwards. Raises `NotHere`."""
    net = os.getpid() % 100 * 2
    wire = [f"{_ADDRESSES}.{net}.{n}" for n in (1, 2)]
    lossy = [f"{_ADDRESSES}.{net + 1}.{n}" for n in (1, 2)]
    async with contextlib.AsyncExitStack() as stack:
        space = await _space(stack)
        enter = ("nsenter", f"--net=/proc/{space}/ns/net")
        here, inside, near = (f"bw{os.getpid() % 100_000}{end}" for end in "hil")
        _run(
            *("ip", "link", "add", here, "type", "veth", "peer", "name", inside),
            *("netns", str(space)),
        )
        stack.callback(subprocess.run, ["ip", "link", "del", here], check=False)
        for words in (
            ("ip", "address", "add", f"{wire[0]}/30", "dev", here),
            ("ip", "link", "set", here, "up"),
            (*enter, "ip", "address", "add", f"{wire[1]}/30", "dev", inside),
            (*enter, "ip", "link", "set", inside, "up"),
        ):
            _run(*words)
        carrier = await _carrier(stack, enter, near, lossy)
        yield Link(lossy[0], lossy[1], wire[0], wire[1], enter, carrier)


async def _space(stack: contextlib.AsyncExitStack) -> int:
    """The process that keeps a namespace of its own."""
    try:
        keeper = await asyncio.create_subprocess_exec(
            *("unshare", "--net", "sh", "-c", "echo ready; exec sleep 3600"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise NotHere("no unshare: apt install util-linux iproute2") from error
    stack.push_async_callback(_end, keeper)
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    if not await keeper.stdout.readline():
        said = (await keeper.stderr.read()).decode().strip()
        raise NotHere(f"no network namespace may be made here: {said}")
    return keeper.pid


async def _carrier(
    stack: contextlib.AsyncExitStack, enter: Sequence[str], name: str, ends: Sequence[str]
) -> asyncio.subprocess.Process:
    try:
        near = device(name)
    except OSError as error:
        raise NotHere(f"no TUN device may be made here: {error.strerror}") from error
    stack.callback(os.close, near)
    for words in address(name, ends[0], ends[1]):
        _run(*words)
    carrier = await asyncio.create_subprocess_exec(
        *(*enter, sys.executable, "-m", "tests.chaos.packets"),
        *(str(near), name, ends[1], ends[0]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=(near,),
    )
    stack.push_async_callback(_end, carrier)
    assert carrier.stdout is not None
    async with asyncio.timeout(_ENTER_SECONDS):
        if await carrier.stdout.readline() != b"ready\n":
            raise NotHere("the link's end can't be made in the namespace")
    return carrier


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotHere(f"no {words[0]}: apt install util-linux iproute2") from error
    if done.returncode != 0:
        raise NotHere(f"{' '.join(words)}: {done.stderr.strip()}")

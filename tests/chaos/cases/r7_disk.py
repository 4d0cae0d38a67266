"""R7: the disk is full, and (a case of its own) the disk can't sync: only 503, clicks go on, nothing accepted is lost."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.case import Case, Form, NotHere, Trial
from tests.chaos.client import Client, GaveUp
from tests.chaos.crash import until_done
from tests.chaos.crowd import SLUG
from tests.chaos.judging import judge
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet, reading
from tests.chaos.verdict import Verdict
from tests.components.waiting import wait_until

_MEGABYTES = 64
_PEOPLE: dict[Form, int] = {"test": 25, "short": 60, "full": 200}
_POSTS: dict[Form, int] = {"test": 60, "short": 300, "full": 2000}
"""How many people leave their contact while nothing can be written."""

_GOES_ON_SECONDS = 15.0


async def _run_full(trial: Trial) -> Verdict:
    data = trial.folder / "data"

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await _before(stage, trial)
            with _filled(data):
                refused = await _while_full(stage, _POSTS[trial.form])
            if not refused:
                stage.verdict.faults.append("nothing was refused: the disk was never full")
            await _afterwards(stage, refused)
            await quiet(stage)
        await judge(stage)

    with _small_disk(data):
        return await play("R7", trial, act)


async def _run_unsynced(trial: Trial) -> Verdict:
    if shutil.which("strace") is None:
        raise NotHere("no strace: apt install strace")

    async def act(stage: Stage) -> None:
        async with reading(stage):
            await _before(stage, trial)
            before = stage.book.count("lead")
            with _no_sync(stage):
                refused = await _while_full(stage, _POSTS[trial.form])
            # the page cache keeps what a power loss would take: nobody may have been told that it stays
            if unsynced := stage.book.count("lead") - before:
                stage.verdict.lost += unsynced
                stage.verdict.faults.append(f"{unsynced} were accepted while no sync worked")
            await _afterwards(stage, refused)
            await quiet(stage)
        await judge(stage)

    # a commit that failed may stand all the same: what was claimed by it comes back after the lease
    return await play("R7-eio", trial, act, changes=("quick-leases",))


@contextlib.contextmanager
def _no_sync(stage: Stage) -> Iterator[None]:
    """Every sync of the program fails while the block runs."""
    process = stage.embedded.process
    assert process is not None
    calls = stage.victim.folder / "calls"
    injecting = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO")
    meddler = subprocess.Popen(
        ["strace", "-f", "-o", calls, *injecting, "-p", str(process.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: meddler.poll() is not None or _meddles(calls), "strace at work")
        if meddler.poll() is not None:
            raise NotHere("strace may not attach to a process here")
        yield
    finally:
        if meddler.poll() is None:
            meddler.send_signal(signal.SIGINT)
        meddler.wait()


def _meddles(calls: Path) -> bool:
    return calls.exists() and "INJECTED" in calls.read_text()


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        raise NotHere("mounting a small disk needs root")
    folder.mkdir(parents=True)
    size = f"size={_MEGABYTES}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        raise NotHere("a small disk can't be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


@contextlib.contextmanager
def _filled(folder: Path) -> Iterator[None]:
    """No room is left in `folder` while the block runs."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


async def _before(stage: Stage, trial: Trial) -> None:
    """People with mails that have links."""
    await stage.client.call("POST", "/v1/baits", BAIT)
    await stage.crowd.come(_PEOPLE[trial.form])
    await quiet(stage)
    stage.recipients = stage.crowd.recipients
    stage.verdict.recipients = len(stage.recipients)
    await campaign(stage)
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    await until_done(stage)
    await quiet(stage)


async def _while_full(stage: Stage, posts: int) -> list[str]:
    """Leave contacts and follow links, each once; who was refused. Anything but 202 and 503 is a fault."""
    mails = [mail for mail in stage.postbox.mails if mail.kind == "campaign"]
    clicked: list[int] = []
    refused: list[str] = []
    first = len(stage.book.counts) + stage.book.count("lead") + stage.book.count("refused")

    async def come(number: int) -> None:
        address = f"full{first + number}.{stage.seed}@people.example"
        answer = await client.once(_submission(stage, address))
        if answer is None:
            stage.verdict.faults.append("a submission got no answer at all")
        elif answer.status == 202:
            stage.book.note("lead", id=answer.json()["lead_id"], address=address)
        elif answer.status == 503 and answer.headers.get("retry-after"):
            stage.book.note("refused")
            refused.append(address)
        else:
            stage.verdict.faults.append(f"a submission was answered with {answer.status}")

    async def click(number: int) -> None:
        mail = mails[number % len(mails)]
        request = client.request("GET", mail.links["c"], None, {})
        answer = await client.once(request)
        clicked.append(answer.status if answer is not None else 0)
        stage.book.note("clicked", delivery=mail.delivery)

    # connections of its own: one that the server has closed for being idle is no refusal
    async with Client(stage.victim.url) as client:
        for begin in range(0, posts, 10):
            await asyncio.gather(*(come(number) for number in range(begin, begin + 10)))
            await asyncio.gather(*(click(number) for number in range(begin // 10, begin // 10 + 2)))
    if wrong := [status for status in clicked if status != 302]:
        stage.verdict.faults.append(f"{len(wrong)} clicks were not redirected: {wrong[:3]}")
    return refused


def _submission(stage: Stage, address: str) -> bytes:
    return stage.client.request(
        "POST",
        f"/v1/baits/{SLUG}/leads",
        ("application/json", b'{"contact": {"email": "%b"}}' % address.encode()),
        {"idempotency-key": address},
    )


async def _afterwards(stage: Stage, refused: list[str]) -> None:
    """There is room again: it has to go on by itself, also for those who were refused."""
    begun = time.monotonic()
    left = list(refused)
    while left:
        answer = await stage.client.once(_submission(stage, left[-1]))
        if answer is not None and answer.status == 202:
            stage.book.note("lead", id=answer.json()["lead_id"], address=left.pop())
        elif time.monotonic() - begun > _GOES_ON_SECONDS + 0.05 * len(refused):
            raise GaveUp("it did not go on within 15 s after there was room")
        else:
            await asyncio.sleep(0.05)


CASE = Case("R7", "a disk that is full", _run_full, saboteurs=("answers-anyway",))
UNSYNCED = Case(
    "R7-eio", "a disk that can't sync for a while", _run_unsynced, saboteurs=("answers-anyway",)
)

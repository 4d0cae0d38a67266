"""R8: power loss. What was written and synced is recorded, and disks are rebuilt as they may be found."""

import asyncio
import contextlib
import random
import shutil
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.case import Case, Form, NotHere, Trial
from tests.chaos.crowd import SLUG
from tests.chaos.disk import STRACE, Call, Disk, read
from tests.chaos.stage import BAIT, Stage, Still, play, quiet, reading
from tests.chaos.stores import FILES, Stores, plain
from tests.chaos.verdict import Verdict
from tests.chaos.victim import Victim

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How many people come while it is recorded, and how many disks are rebuilt from that."""

    people: int
    images: int


_SIZES: dict[Form, Size] = {
    "test": Size(100, 10),
    "short": Size(400, 50),
    "full": Size(1500, 1000),
}


async def _run(trial: Trial) -> Verdict:
    _require_strace(trial.folder)
    size = _SIZES[trial.form]
    record = trial.folder / "calls.strace"
    acknowledged: list[tuple[float, str]] = []

    async def act(stage: Stage) -> None:
        await stage.client.call("POST", "/v1/baits", BAIT)
        async with reading(stage):
            await _people(stage, size.people, acknowledged)
            await quiet(stage)
        stage.victim.kill()
        data = stage.embedded.data
        promised = await asyncio.to_thread(
            _rebuild, stage, list(read(record, data)), size, acknowledged
        )
        if stage.verdict.ok:
            await _start_on(stage, promised)

    verdict = await play("R8", trial, act, before=(*STRACE, str(record)))
    record.unlink(missing_ok=True)
    return verdict


def _require_strace(folder: Path) -> None:
    if shutil.which("strace") is None:
        raise NotHere("no strace: apt install strace")
    tried = subprocess.run(
        [*STRACE, folder / "tried", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        raise NotHere(f"strace may not trace here: {tried.stderr.strip()[-200:]}")


async def _people(stage: Stage, number: int, acknowledged: list[tuple[float, str]]) -> None:
    waiting = iter(range(number))

    async def come_in_turn() -> None:
        for one in waiting:
            answer = await stage.client.ask(
                "POST",
                f"/v1/baits/{SLUG}/leads",
                body={"contact": {"email": f"power{one}.{stage.seed}@people.example"}},
                headers={"idempotency-key": f"power-{one}"},
            )
            assert answer.status == 202, answer.text
            acknowledged.append((time.time(), plain(answer.json()["lead_id"])))
            stage.book.note("lead", id=answer.json()["lead_id"], address="")

    await asyncio.gather(*(come_in_turn() for _ in range(_AT_ONCE)))


def _rebuild(
    stage: Stage, calls: list[Call], size: Size, acknowledged: list[tuple[float, str]]
) -> set[str]:
    """Cut the record at random moments; look at what each disk has. What the last one must have."""
    chance = random.Random(f"power {stage.seed}")
    first, last = acknowledged[0][0], acknowledged[-1][0]
    begin = next(n for n, call in enumerate(calls) if call.at > first)
    end = next((n for n, call in enumerate(calls) if call.at > last + 1), len(calls))
    cuts = sorted(chance.randrange(begin, end) for _ in range(size.images))
    root, disk, taken = stage.victim.folder / "image", Disk(), 0
    promised: set[str] = set()
    for cut in cuts:
        for call in calls[taken:cut]:
            disk.take(call)
        taken = max(taken, cut)
        disk.image(stage.embedded.data, root, chance)
        # what was answered before the last call that the disk has seen
        promised = {id_ for at, id_ in acknowledged if at < calls[cut - 1].at}
        _look(stage.verdict, root, promised)
    stage.embedded.kills = len(cuts)
    for call in calls[taken:]:
        disk.take(call)
    if wrong := disk.differs():
        stage.verdict.faults.append(f"the record does not make up the files: {', '.join(wrong)}")
    return promised


async def _start_on(stage: Stage, promised: set[str]) -> None:
    """Start the program on the last of the disks: it has to go on with what was accepted."""
    root = stage.victim.folder / "image"
    victim = Victim(stage.victim.folder / "again", dict(stage.victim.settings))
    victim.settings["BAITWELL_DATA"] = str(root)
    stores, still = Stores(root), Still(12.0)
    try:
        await victim.begin()
        while (left := stores.waiting()) and not still.after(left):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        await victim.end()
    finally:
        victim.kill()
    if left:
        stage.verdict.faults.append(f"on the last disk it does not get quiet: {left}")
    missing = promised - stores.handled_leads()
    stage.verdict.lost += len(missing)
    if missing:
        stage.verdict.faults.append(f"{len(missing)} accepted leads were not handled afterwards")


def _look(verdict: Verdict, root: Path, promised: set[str]) -> None:
    stores = Stores(root)
    for name in FILES:
        if not (root / f"{name}.sqlite").exists():
            verdict.faults.append(f"a disk has no file of {name}")
            return
        # opened for writing, as a start does: that is when SQLite recovers
        with contextlib.closing(sqlite3.connect(root / f"{name}.sqlite")) as database:
            try:
                said = [row[0] for row in database.execute("PRAGMA integrity_check")]
            except sqlite3.DatabaseError as error:
                said = [type(error).__name__]
        if said != ["ok"]:
            verdict.lost += 1
            verdict.faults.append(f"a disk's {name} is damaged: {said[0]}")
            return
    try:
        kept = stores.leads().keys()
    except sqlite3.OperationalError:  # not even the table is there
        kept = dict.fromkeys((), False).keys()
    missing = promised - kept
    if missing:
        verdict.lost += len(missing)
        verdict.faults.append(f"{len(missing)} of {len(promised)} accepted leads are not there")


CASE = Case(
    "R8",
    "power loss: any subset of what was not synced, torn at 512 bytes",
    _run,
    saboteurs=("sync-off",),
)

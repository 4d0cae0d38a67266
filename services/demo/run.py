"""`python -m services demo`: its own embedded system, its clock a week back, driven and then left running."""

import asyncio
import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import httpx

from services.demo.company import BAITS, Company
from services.demo.letters import Letters
from services.demo.people import passers, visitors
from services.demo.week import Week
from services.shared.clock import ShiftedClock, SystemClock
from services.shared.errors import SetupError
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import EmbeddedParts, open_embedded
from services.shared.process.kinds import ServiceKind
from services.shared.process.serve import listen, serve
from services.shared.settings import Settings, load_settings

_MARK = "made-by-the-demonstration"
_DISPLAYS_SECONDS = 12.0


async def run_demo(
    kinds: Sequence[ServiceKind], *, seed: int = 7, count: int = 300, stay: bool = True
) -> int:
    """Live the week, print the funnel, keep running until stopped (or end, with `stay` False)."""
    if os.environ.get("BAITWELL_SMTP_URL"):
        raise SetupError("the demonstration sends no mail: unset BAITWELL_SMTP_URL")
    settings = load_settings(Settings)
    if settings.scaled:
        raise SetupError("the demonstration runs on one machine: unset the database and Kafka")
    folder = _fresh(settings.data / "demo")
    clock = ShiftedClock(_a_week_back(settings))
    listener = listen(settings.host, settings.port)
    url = f"http://localhost:{settings.port}"
    overrides = {"public_url": url, "mail": "local", "data": folder}
    directory = DataDirectory(folder)
    directory.open()
    embedded = open_embedded(kinds, settings, directory, EmbeddedParts(clock, overrides))
    key = await embedded.keys.create("demonstration", ["admin"])
    ready, stop = asyncio.Event(), asyncio.Event()
    serving = asyncio.create_task(serve(embedded.front, listener, ready.set, stop))
    await ready.wait()
    driving = asyncio.create_task(_drive(url, key, clock, seed, count))
    try:
        await asyncio.wait({driving, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not driving.done():
            return 130
        driving.result()
        say(f"\n  log in at {url}/login with the key\n    {key}")
        say(f"  then look at {url}/  {url}/people  {url}/campaigns  {url}/mailbox")
        if stay:
            say("  Ctrl-C ends it.\n")
            await serving
    finally:
        driving.cancel()
        stop.set()
        await asyncio.gather(serving, driving, return_exceptions=True)
    return 0


async def _drive(url: str, key: str, clock: ShiftedClock, seed: int, count: int) -> None:
    say(f"Baitwell, demonstration: {count} visitors, a week in about a minute (seed {seed})")
    headers = {"authorization": f"Bearer {key}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as admin,
        httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as public,
    ):
        company = Company(admin)
        await company.open_shop()
        week = Week(public, company, Letters(admin), clock, seed)
        cast = visitors(seed, count, BAITS)
        await week.live(cast, passers(seed, cast), _progress)
        await SystemClock().sleep(2.0)  # the last clicks are classed within a second
        _print(await _with_all_displays(company, week.drawn), "bait")
        _print(await company.funnel("campaign"), "campaign")


async def _with_all_displays(company: Company, drawn: int) -> Any:
    """The funnel by bait, once all the forms that were drawn are in it: they are told after up to 10 s."""
    clock = SystemClock()
    end = clock.monotonic() + _DISPLAYS_SECONDS
    while True:
        funnel = await company.funnel("bait")
        told = sum(
            item["bait"]["stages"]["displayed"]["total"]
            for item in funnel["items"]
            if item.get("bait")
        )
        if told >= drawn or clock.monotonic() > end:
            return funnel
        await clock.sleep(0.5)


def _a_week_back(settings: Settings) -> timedelta:
    """The offset that puts the clock to midnight, seven days ago, in the installation's zone."""
    now = SystemClock().now()
    today = datetime.combine(now.astimezone(settings.zone).date(), time(0), settings.zone)
    return today - timedelta(days=7) - now


def _fresh(folder: Path) -> Path:
    """An empty folder of our own. Raises `SetupError` when it holds anything else."""
    if folder.exists():
        if not (folder / _MARK).exists():
            raise SetupError(f"{folder} is not the demonstration's: set BAITWELL_DATA elsewhere")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    return folder


def _progress(share: float, label: str) -> None:
    if sys.stdout.isatty():
        done = int(share * 40)
        sys.stdout.write(f"\r  [{'#' * done}{'.' * (40 - done)}] {label:12}")
        sys.stdout.flush()


def _print(funnel: Any, of: str) -> None:
    """A funnel as a table: stages in their order, people counted, machines beside them."""
    rows = [(item["label"], item[of]["stages"]) for item in funnel["items"] if item.get(of)]
    if not rows:
        return
    stages = list(rows[0][1])
    say("\n  " + f"{of:24}" + "".join(f"{stage:>14}" for stage in stages))
    for label, counts in rows:
        say("  " + _padded(label, 24) + "".join(_cell(counts[stage]) for stage in stages))
    if any(counts[stage]["machine"] for _, counts in rows for stage in stages):
        say("  (+3m): three more by machines (scanners, link checkers), which count nowhere")


def _cell(count: Any) -> str:
    machine = f" (+{count['machine']}m)" if count["machine"] else ""
    return f"{count['distinct']}{machine}".rjust(14)


def _padded(text: str, width: int) -> str:
    """Padded for a terminal, where a Chinese letter takes two places."""
    taken = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return text + " " * max(1, width - taken)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()

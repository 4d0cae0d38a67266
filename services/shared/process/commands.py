"""The commands of an operator, over any set of services: parked records, doctor."""

import asyncio
import shutil
import sys
from collections.abc import Sequence

from services.shared.bus import BusUnavailable
from services.shared.errors import DatabaseUnavailable, SetupError
from services.shared.events import TOPICS
from services.shared.process.directory import DataDirectory
from services.shared.process.kinds import ServiceKind
from services.shared.process.stores import Stores, open_stores, replayer, revision_of
from services.shared.runner import parked
from services.shared.settings import Settings

_DISK_WARNING = 1024**3


def say(text: str) -> None:
    """Print a line for the operator."""
    sys.stdout.write(f"{text}\n")


async def parked_list(kinds: Sequence[ServiceKind], settings: Settings) -> int:
    """List parked records of every service."""
    async with open_stores(kinds, settings) as stores:
        total = 0
        for name, database in stores.databases.items():
            for row in await database.read(parked.listing):
                total += 1
                say(f"{name} #{row.id} {row.topic}/{row.partition}@{row.offset} {row.reason}")
        say(f"{total} parked")
    return 0


async def parked_replay(kinds: Sequence[ServiceKind], settings: Settings, only: str | None) -> int:
    """Handle parked records again, in key order; 1 when some are still parked."""
    directory = DataDirectory(settings.data)
    if not settings.scaled:
        directory.open()
    left = 0
    async with open_stores(kinds, settings) as stores:
        for kind in kinds:
            runner = replayer(kind, stores, settings) if only in (None, kind.name) else None
            if runner is None:
                continue
            handled, stuck = await runner.replay()
            left += stuck
            say(f"{kind.name}: {handled} handled, {stuck} keys still parked")
    directory.close()
    return 1 if left else 0


async def doctor(
    kinds: Sequence[ServiceKind], settings: Settings, more: Sequence[tuple[str, str]] = ()
) -> int:
    """Look at everything an installation needs; 1 when something is wrong.

    `more` are verdicts of the caller's; one that is well begins with "ok".
    """
    wrong = 0
    async with open_stores(kinds, settings) as stores:
        for name, verdict in [
            ("mode", "ok: PostgreSQL and Kafka" if settings.scaled else "ok: one process, SQLite"),
            ("disk", _disk(settings)),
            ("log", await _log(stores)),
            *[(kind.name, await _database(stores, kind)) for kind in kinds],
            *more,
        ]:
            fine = verdict.startswith("ok")
            wrong += not fine
            say(f"{'ok  ' if fine else 'BAD '} {name:8} {verdict.removeprefix('ok').lstrip(': ')}")
    return 1 if wrong else 0


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(settings.data if settings.data.exists() else ".").free
    text = f"{free / 1024**3:.1f} GiB free"
    return f"ok: {text}" if free > _DISK_WARNING else f"only {text}"


async def _log(stores: Stores) -> str:
    try:
        async with asyncio.timeout(10):
            await stores.bus.start(tuple(TOPICS))
            ends = await stores.bus.ends(tuple(TOPICS))
    except (BusUnavailable, TimeoutError):
        return "the event log does not answer"
    return f"ok: {sum(ends.values())} records written"


async def _database(stores: Stores, kind: ServiceKind) -> str:
    database = stores.databases[kind.name]
    try:
        revision = await revision_of(database, kind)
        parked_now = sum((await database.read(parked.count)).values())
    except DatabaseUnavailable:
        return "the database does not answer"
    except SetupError as error:
        return str(error)
    if revision != "current":
        return revision
    return "ok: schema current" if not parked_now else f"{parked_now} records are parked"

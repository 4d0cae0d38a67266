"""Baitwell's commands.

Each imports what it needs when it is asked: `keys list` has no use for four services.
"""

import argparse
import asyncio
import contextlib
import importlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from services.shared.errors import SetupError
from services.shared.logs import set_up_logs
from services.shared.process.directory import DataDirectory
from services.shared.settings import Settings, load_settings, unknown_variables

if TYPE_CHECKING:
    from services.shared.database import Database
    from services.shared.process.aside.forking import Forked
    from services.shared.process.embedded import Embedded
    from services.shared.process.kinds import ServiceKind

SERVICES = ("capture", "profile", "push", "metrics")

log = logging.getLogger("services")


def kinds() -> "tuple[ServiceKind, ...]":
    """The four services, in the order in which they start."""
    # imported here: that is most of what a start takes, and some commands need none of them
    from services.capture.app import KIND as CAPTURE
    from services.metrics.app import KIND as METRICS
    from services.profile.app import KIND as PROFILE
    from services.push.app import KIND as PUSH

    return CAPTURE, PROFILE, PUSH, METRICS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parsed = _parser().parse_args(arguments)
    set_up_logs()
    try:
        for name in unknown_variables({name: _settings_of(name) for name in SERVICES}):
            log.warning("no setting is called %s: is it misspelt?", name)
        command: Callable[[argparse.Namespace], int] = parsed.command
        return command(parsed)
    except SetupError as error:
        sys.stderr.write(f"baitwell: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _settings_of(service: str) -> type[Settings]:
    """The settings of a service, without the service itself."""
    module = importlib.import_module(f"services.{service}.settings")
    found: type[Settings] = getattr(module, f"{service.capitalize()}Settings")
    return found


def _commands() -> ModuleType:
    # imported when a command asks: the start of the one-process mode needs neither PostgreSQL nor Kafka
    from services.shared.process import commands

    return commands


def _keys() -> ModuleType:
    # imported when a command asks: it needs the auth store and nothing else
    from services.shared.process import key_commands

    return key_commands


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services", description="Baitwell's commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run everything in one process, or one service")
    run.add_argument("service", nargs="?", default="all", choices=["all", *SERVICES])
    run.add_argument("--channels", help="push only: dispatch these channels, with commas between")
    run.set_defaults(command=_run)

    migrate = commands.add_parser("migrate", help="bring every schema of PostgreSQL up to date")
    migrate.set_defaults(command=_migrate)

    _add_keys(commands.add_parser("keys", help="make, list and revoke API keys"))
    _add_parked(commands.add_parser("parked", help="records that could not be handled"))

    _add_positions(commands.add_parser("positions", help="where consumers stand in the log"))

    doctor = commands.add_parser("doctor", help="look at everything an installation needs")
    doctor.set_defaults(command=lambda _: _doctor())

    _add_dkim(commands.add_parser("dkim", help="keys that sign mail, and their DNS records"))

    backup = commands.add_parser("backup", help="copy the data directory, also while it is used")
    backup.add_argument("folder", type=Path, help="a folder that is not there yet")
    backup.set_defaults(command=_backup)

    rebuild = commands.add_parser("rebuild", help="work out anew what is derived")
    rebuild.add_argument(
        "what",
        nargs="?",
        default="totals",
        choices=["totals", "reach"],
        help="the funnel's totals, from raw events; whom push may reach, from profiles",
    )
    rebuild.set_defaults(command=lambda p: asyncio.run(_REBUILDS[p.what]()))

    demo = commands.add_parser("demo", help="a week of a small company in a minute, to look at")
    demo.add_argument("--seed", type=int, default=7)
    demo.add_argument("--visitors", type=int, default=300)
    demo.add_argument("--leave", action="store_true", help="end when the week is over")
    demo.set_defaults(command=_demo)

    docs = commands.add_parser("docs", help="write the generated documents")
    docs.add_argument("--check", action="store_true", help="only say whether they are up to date")
    docs.set_defaults(command=_docs)
    return parser


def _add_keys(keys: argparse.ArgumentParser) -> None:
    actions = keys.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; it is shown this once")
    create.add_argument("name")
    create.add_argument("--scope", action="append", required=True, dest="scopes")
    create.set_defaults(
        command=lambda p: asyncio.run(_keys().create(load_settings(Settings), p.name, p.scopes))
    )
    listing = actions.add_parser("list", help="list keys")
    listing.set_defaults(command=lambda _: asyncio.run(_keys().show(load_settings(Settings))))
    revoke = actions.add_parser("revoke", help="revoke a key")
    revoke.add_argument("id")
    revoke.set_defaults(
        command=lambda p: asyncio.run(_keys().revoke(load_settings(Settings), p.id))
    )


def _add_parked(parked: argparse.ArgumentParser) -> None:
    actions = parked.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="list them")
    listing.set_defaults(
        command=lambda _: asyncio.run(_commands().parked_list(kinds(), load_settings(Settings)))
    )
    replay = actions.add_parser("replay", help="handle them again, in the order of their keys")
    replay.add_argument("service", nargs="?", choices=SERVICES)
    replay.set_defaults(
        command=lambda p: asyncio.run(
            _commands().parked_replay(kinds(), load_settings(Settings), p.service)
        )
    )


def _add_positions(positions: argparse.ArgumentParser) -> None:
    actions = positions.add_subparsers(required=True, metavar="ACTION")
    reset = actions.add_parser(
        "reset", help="handle again all that the log still has; nothing happens twice"
    )
    reset.add_argument("service", nargs="?", choices=SERVICES)
    reset.set_defaults(command=lambda p: asyncio.run(_positions_reset(p.service)))


async def _positions_reset(service: str | None) -> int:
    # imported here: only this command sets anybody back
    from services.shared.process.rewinding import positions_reset

    return await positions_reset(kinds(), load_settings(Settings), service)


def _add_dkim(dkim: argparse.ArgumentParser) -> None:
    actions = dkim.add_subparsers(required=True, metavar="ACTION")
    new = actions.add_parser("new", help="make a key and print the record to publish")
    new.add_argument("domain", help="the domain of the sender's address")
    new.add_argument("selector", help="a word of your own for this key, like s2026")
    new.add_argument("--kind", choices=["rsa", "ed25519"], default="rsa")
    new.add_argument("--out", type=Path, required=True, help="the file for the private key")
    new.set_defaults(
        command=lambda p: _dkim_commands().new(p.domain, p.selector, p.kind, p.out, _say)
    )
    records = actions.add_parser("records", help="print the records of the keys that are set")
    records.set_defaults(
        command=lambda _: _dkim_commands().records(
            load_settings(_settings_of("push"), "push"), _say
        )
    )


def _dkim_commands() -> ModuleType:
    # imported when a command asks: where nothing is signed nobody needs cryptography
    from services.push.channels.email.dkim import commands

    return commands


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _doctor() -> int:
    dkim = _dkim_commands().verdict(load_settings(_settings_of("push"), "push"))
    code: int = asyncio.run(_commands().doctor(kinds(), load_settings(Settings), [("dkim", dkim)]))
    return code


def _run(parsed: argparse.Namespace) -> int:
    if parsed.channels and parsed.service != "push":
        raise SetupError("--channels is for `run push`")
    # imported here: other commands serve nothing
    from services.shared.process.serve import run

    overrides = {"channels": parsed.channels} if parsed.channels else {}
    everything = parsed.service == "all"
    code = 0
    # Ctrl-C is how one stops it: nothing has failed
    with contextlib.suppress(KeyboardInterrupt):
        code = _run_everything() if everything else run(_run_one(parsed.service, overrides))
    if everything:
        kept = load_settings(Settings).data
        sys.stdout.write(f"\n  Baitwell has stopped. Everything is kept in {kept}/\n")
    return code


def _run_everything() -> int:
    # imported here: other commands serve nothing
    from services.shared.process.serve import run

    settings = load_settings(Settings)
    if settings.scaled:
        raise SetupError(
            "with PostgreSQL and Kafka each service is a process: `run capture`, `run profile`, …"
        )
    # before there is a thread or a loop
    forked = _fork_aside(settings)
    return run(_run_all(settings, forked))


def _fork_aside(settings: Settings) -> "Forked | None":
    # imported here, and before the fork, so that both processes share what was loaded
    import services.shared.process.embedded  # noqa: F401
    from services.shared.process.aside.forking import can_fork, fork
    from services.shared.process.aside.inside import main

    for kind in kinds():
        if can_fork() and kind.runs_aside(load_settings(kind.settings, kind.name)):
            return fork(kind.name, partial(main, kind, settings))
    return None


async def _run_all(settings: Settings, forked: "Forked | None") -> int:
    # imported here: other commands serve nothing
    from services.shared.process.embedded import open_embedded
    from services.shared.process.serve import listen, serve

    directory = DataDirectory(settings.data)
    directory.open()
    embedded = open_embedded(kinds(), settings, directory, forked=forked)
    listener = listen(settings.host, settings.port)
    first_key = await embedded.first_key()
    await serve(embedded.front, listener, lambda: _welcome(embedded, settings, first_key))
    return 0


def _welcome(_embedded: "Embedded", settings: Settings, first_key: str | None) -> None:
    url = settings.public_url
    lines = [
        "",
        f"  Baitwell runs on {url}",
        f"    a bait to try      {url}/b/welcome",
        f"    mails it sent      {url}/mailbox",
        f"    API documents      {url}/docs/capture  /docs/profile  /docs/push  /docs/metrics",
        f"    data               {settings.data.resolve()}",
    ]
    if first_key:
        lines += ["", f"    your admin key     {first_key}", "    (shown this once: keep it)"]
    sys.stdout.write("\n".join([*lines, "", ""]))
    sys.stdout.flush()


async def _run_one(name: str, overrides: dict[str, str]) -> int:
    # imported here: the one-process mode has no use for PostgreSQL and Kafka
    from services.shared.process.scaled import open_scaled
    from services.shared.process.serve import listen, serve

    kind = next(kind for kind in kinds() if kind.name == name)
    settings = load_settings(kind.settings, name, **overrides)
    listener = listen(settings.host, settings.port)
    app = await open_scaled(kind, f"{name}-{settings.port}", overrides)
    await serve(app, listener, lambda: log.info("%s is ready on port %d", name, settings.port))
    return 0


def _migrate(_parsed: argparse.Namespace) -> int:
    # imported here: the one-process mode has no use for PostgreSQL
    from services.shared.process.scaled import migrate_all

    changed = asyncio.run(migrate_all(kinds(), load_settings(Settings)))
    sys.stdout.write(f"migrated: {', '.join(changed) or 'nothing to do'}\n")
    return 0


def _backup(parsed: argparse.Namespace) -> int:
    # imported here: only this command copies databases
    from services.shared.process.backup import back_up

    settings = load_settings(Settings)
    if settings.scaled:
        raise SetupError("the databases are PostgreSQL's: see docs/operations.md, Backup")
    names = back_up(settings.data, parsed.folder)
    sys.stdout.write(f"{parsed.folder}: {', '.join(names)}\n")
    return 0


async def _rebuild_totals() -> int:
    # imported here: only this command needs what is behind it
    from services.metrics.funnel.counting import Counting
    from services.metrics.funnel.service import rebuild_totals
    from services.metrics.funnel.stages import Days

    settings = load_settings(_settings_of("metrics"), "metrics")
    counting = Counting(Days(settings.zone))
    async with _database_of("metrics", settings) as database:
        events = await rebuild_totals(database, counting)
    _say(f"totals rebuilt from {events} raw events")
    return 0


async def _rebuild_reach() -> int:
    # imported here: only this command needs what is behind it
    from services.push.reach.rebuilding import begin_anew
    from services.push.sending import CONSUMER

    settings = load_settings(_settings_of("push"), "push")
    async with _database_of("push", settings) as database:
        known = await database.transaction(lambda session: begin_anew(session, CONSUMER))
    _say(f"{known} people were known; push reads all states of profiles again when it starts")
    return 0


_REBUILDS = {"totals": _rebuild_totals, "reach": _rebuild_reach}


@asynccontextmanager
async def _database_of(service: str, settings: Settings) -> AsyncIterator["Database"]:
    """The database of a service that does not run."""
    # imported here: few commands open stores
    from services.shared.process.stores import open_stores

    directory = DataDirectory(settings.data)
    if not settings.scaled:
        directory.open()
    try:
        async with open_stores(kinds(), settings) as stores:
            yield stores.databases[service]
    finally:
        directory.close()


def _demo(parsed: argparse.Namespace) -> int:
    # imported here: only this command lives a week
    from services.demo.run import run_demo
    from services.shared.process.serve import run

    work = run_demo(kinds(), seed=parsed.seed, count=parsed.visitors, stay=not parsed.leave)
    try:
        return run(work)
    except KeyboardInterrupt:
        sys.stdout.write("\n  The demonstration has ended.\n")
        return 0


def _docs(parsed: argparse.Namespace) -> int:
    # imported here: only this command writes documents
    from services.shared.events.asyncapi import render_documents

    stale = 0
    for name, text in render_documents().items():
        path = Path(name)
        if path.exists() and path.read_text() == text:
            continue
        stale = 1
        if not parsed.check:
            path.write_text(text)
        sys.stdout.write(f"{'stale' if parsed.check else 'written'}: {name}\n")
    return stale if parsed.check else 0

"""Everything in one process: a SQLite file per service, the log in one more, all on one port."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.shared.app import create_app
from services.shared.auth import migrations as auth_migrations
from services.shared.auth.keys import Keys
from services.shared.auth.models import metadata as auth_metadata
from services.shared.bus import BusUnavailable
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import Clock, SystemClock, to_micros
from services.shared.database import migrations
from services.shared.database.disk import SLOW_SYNC, sync_seconds
from services.shared.database.sqlite import SqliteDatabase
from services.shared.exposition import CONTENT_TYPE, exposition
from services.shared.ground import Ground
from services.shared.http.internal import InternalClient
from services.shared.ids import Ids
from services.shared.process.aside.beside import LOCK_SECONDS, with_process_beside
from services.shared.process.aside.forking import Forked
from services.shared.process.directory import DataDirectory, Secrets
from services.shared.process.grounds import lay
from services.shared.process.kinds import ServiceKind
from services.shared.process.routing import OneProcess
from services.shared.runner.supervisor import BackgroundTask, Supervisor
from services.shared.settings import Settings, load_settings
from services.shared.web.pages import Pages, problem_page
from services.shared.web.problems import handle_problems

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

_TIDY_SECONDS = 300.0
_JUMP_SECONDS = 60.0
_DOUBT_SECONDS = 3600.0


@dataclass
class Embedded:
    """The one process: its apps by service, and the ASGI app in front of them."""

    apps: dict[str, FastAPI]
    front: OneProcess
    grounds: dict[str, Ground[Any]]
    keys: Keys
    secrets: Secrets

    async def first_key(self) -> str | None:
        """An admin key, the first time only."""
        if await self.keys.listing():
            return None
        return await self.keys.create("first admin key", ["admin"])


@dataclass(frozen=True)
class EmbeddedParts:
    """What tests and the demonstration put in place of the defaults."""

    clock: Clock = field(default_factory=SystemClock)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    sync_seconds: Callable[[Path], float] = sync_seconds


def open_embedded(
    kinds: Sequence[ServiceKind],
    settings: Settings,
    directory: DataDirectory,
    parts: EmbeddedParts | None = None,
    forked: Forked | None = None,
) -> Embedded:
    """Open databases and build apps. Nothing runs before the front's lifespan. Raises `SetupError`.

    `forked` runs what it may of the one kind that wants it.
    """
    parts = parts or EmbeddedParts()
    clock = parts.clock
    secrets = directory.secrets()
    slow = _is_slow(directory, parts)
    auth_database = SqliteDatabase(directory.file("auth"), writer_thread=slow)
    _migrate(auth_database, auth_migrations, auth_metadata)
    keys = Keys(auth_database, clock, Ids(clock))
    bus = SqliteBus(directory.file("log"), clock)
    neighbours: dict[str, InternalClient] = {}
    footing = lay(settings, secrets, clock, bus, keys, neighbours)
    apps: dict[str, FastAPI] = {}
    grounds: dict[str, Ground[Any]] = {}
    for kind in kinds:
        own_settings = load_settings(kind.settings, kind.name, **parts.overrides)
        beside = forked if forked is not None and forked.service == kind.name else None
        database = _open(directory.file(kind.name), slow=slow, shared=beside is not None)
        _migrate(database, kind.migrations, kind.metadata)
        ground = footing.ground(kind.name, f"{kind.name}-1", own_settings, database)
        grounds[kind.name] = ground
        service = kind.build(ground)
        if beside is not None:
            service = with_process_beside(service, beside, ground, database)
        apps[kind.name] = create_app(service, ground)
    for name, app in apps.items():
        neighbours[name] = InternalClient(
            f"http://{name}", secrets.internal_key, transport=partial(_into, app)
        )

    async def close() -> None:
        for client in neighbours.values():
            await client.close()
        await bus.close()
        for ground in grounds.values():
            await ground.database.close()
        await auth_database.close()
        directory.close()

    own = _own_app(settings, apps, keys, secrets, Housekeeping(bus, clock), close)
    return Embedded(apps, OneProcess(apps, own), grounds, keys, secrets)


def _into(app: FastAPI) -> "httpx.AsyncBaseTransport":
    # imported when one service first calls another: the start needs it not
    import httpx

    return httpx.ASGITransport(app=app)


def _is_slow(directory: DataDirectory, parts: EmbeddedParts) -> bool:
    """Whether commits would hold up the loop. A clock that the test moves wants no threads."""
    if not isinstance(parts.clock, SystemClock):
        return False
    return parts.sync_seconds(directory.path) > SLOW_SYNC


def _open(path: Path, *, slow: bool, shared: bool) -> SqliteDatabase:
    if not shared:
        return SqliteDatabase(path, writer_thread=slow)
    # whoever waits for the other process's lock must not stop the loop
    return SqliteDatabase(path, writer_thread=True, lock_seconds=LOCK_SECONDS)


def _migrate(database: SqliteDatabase, package: Any, metadata: Any) -> None:
    with database.writer.begin() as connection:
        if not migrations.check(connection, package):
            migrations.upgrade(connection, package, metadata)


class Housekeeping:
    """Keeps the log within its retention, now and then; not by a wall clock that has jumped within the hour."""

    def __init__(self, bus: SqliteBus, clock: Clock) -> None:
        self._bus = bus
        self.clock = clock
        self._difference = self._now_difference()
        self._jumped_at = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Tidy every few minutes until `stop` is set."""
        while not await self.clock.wait(stop, _TIDY_SECONDS):
            if self._is_in_doubt():
                log.warning("the log is not tidied: the wall clock has jumped within the hour")
                continue
            with contextlib.suppress(BusUnavailable):  # /health/ready says so
                await self._bus.tidy()

    def _is_in_doubt(self) -> bool:
        difference = self._now_difference()
        if abs(difference - self._difference) > _JUMP_SECONDS:
            self._jumped_at = self.clock.monotonic()
        self._difference = difference
        return self.clock.monotonic() - self._jumped_at < _DOUBT_SECONDS

    def _now_difference(self) -> float:
        return to_micros(self.clock.now()) / 1e6 - self.clock.monotonic()


def _own_app(
    settings: Settings,
    apps: Mapping[str, FastAPI],
    keys: Keys,
    secrets: Secrets,
    housekeeping: Housekeeping,
    close: Callable[[], Awaitable[None]],
) -> FastAPI:
    """What belongs to the process and to no service: its life, its health, its metrics."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await keys.ensure("internal calls", ["internal"], secrets.internal_key)
        supervisor = Supervisor(housekeeping.clock)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close)
            supervisor.start(BackgroundTask("tidy", housekeeping.run))
            stack.push_async_callback(supervisor.stop)
            for app in apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            yield

    own = FastAPI(
        title="Baitwell", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None
    )
    pages = Pages(zone=settings.zone)
    # who mistypes an address in a browser gets a page, as everywhere else
    handle_problems(own, lambda request, problem: problem_page(pages, request, problem))

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        wrong = {name: await app.state.engine.unready() for name, app in apps.items()}
        wrong = {name: parts for name, parts in wrong.items() if parts}
        return JSONResponse(
            {"status": "unready" if wrong else "ok", "parts": wrong},
            status_code=503 if wrong else 200,
        )

    async def metrics(_request: Request) -> Response:
        for app in apps.values():
            await app.state.engine.refresh()
        first = next(iter(apps.values()))
        return Response(exposition(first.state.ground.registry), media_type=CONTENT_TYPE)

    own.router.add_route("/health/live", live, include_in_schema=False)
    own.router.add_route("/health/ready", ready, include_in_schema=False)
    own.router.add_route("/metrics", metrics, include_in_schema=False)
    return own

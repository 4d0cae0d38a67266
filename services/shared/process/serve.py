"""Serving an app on a port until somebody says stop."""

import asyncio
import errno
import gc
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvicorn
from starlette.types import ASGIApp

from services.shared.errors import SetupError
from services.shared.process.bounds import Patience
from services.shared.process.protocol import OneWriteProtocol

T = TypeVar("T")

_BACKLOG = 2048
_GRACE = 3
_LOOK = 2.0


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run the process's one coroutine, on uvloop where it is to be had."""
    try:
        # imported here: Windows has none
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `SetupError` with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"port {port} is taken: stop what uses it, or set BAITWELL_PORT to another"
            ) from error
        raise SetupError(f"can't listen on {host}:{port}: {error.strerror}") from error
    listener.listen(_BACKLOG)
    listener.set_inheritable(True)
    return listener


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    on_ready: Callable[[], None],
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or `stop`; requests under way get their answers first."""
    config = uvicorn.Config(
        app,
        http=OneWriteProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=_GRACE,
        backlog=_BACKLOG,
    )
    server = uvicorn.Server(config)
    watching = asyncio.create_task(_watch(server, on_ready, stop))
    hurrying = asyncio.create_task(_hurry(server))
    try:
        await server.serve(sockets=[listener])
    finally:
        watching.cancel()
        hurrying.cancel()
    if not server.started:
        raise SetupError("the start failed; the lines above say why")


async def _watch(
    server: uvicorn.Server, on_ready: Callable[[], None], stop: asyncio.Event | None
) -> None:
    while not server.started:  # noqa: ASYNC110  # uvicorn offers no event
        await asyncio.sleep(0.01)
    spare_the_collector()
    on_ready()
    if stop is not None:
        await stop.wait()
        server.should_exit = True


async def _hurry(server: uvicorn.Server) -> None:
    """Let go of callers that do not get on with their requests."""
    patience, loop = Patience(), asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_LOOK)
        patience.look(tuple(server.server_state.connections), loop.time())


def spare_the_collector() -> None:
    """What the start made stays for good: do not search it for garbage again and again.

    With that, and with fewer searches, a submission costs a fifth less and the slowest wait half as long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)

"""What every client of Kafka shares: how it connects, and how it is stopped within a bound."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from aiokafka.errors import ProducerClosed

from services.shared.errors import SetupError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How the brokers are spoken to. `ca`: who signed their certificates, if not a public authority."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def settings(self) -> dict[str, Any]:
        """The arguments of aiokafka's clients. Raises `SetupError` for files that can't be used."""
        settings: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.endswith("SSL"):
            try:
                settings["ssl_context"] = self._context()
            except OSError as error:
                raise SetupError(f"the certificates for Kafka can't be used: {error}") from error
        if self.protocol.startswith("SASL"):
            settings["sasl_mechanism"] = self.mechanism
            settings["sasl_plain_username"] = self.username
            settings["sasl_plain_password"] = self.password
        return settings

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key, self.key_password)
        return context


@dataclass(frozen=True, slots=True)
class KafkaTimes:
    """Bounds, in seconds. `session`: how long a member may be silent before others take over."""

    session: float = 10.0
    heartbeat: float = 1.0
    answer: float = 5.0
    publish: float = 10.0
    close: float = 3.0


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the brokers are and what every client tells them."""

    servers: str
    client_id: str
    security: KafkaSecurity
    times: KafkaTimes

    def settings(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.servers,
            "client_id": self.client_id,
            "request_timeout_ms": round(self.times.answer * 1000),
            **self.security.settings(),
        }


class Stoppable(Protocol):
    """A client of aiokafka."""

    def stop(self) -> Awaitable[None]: ...


async def stop(client: Stoppable, seconds: float) -> None:
    """Stop a producer or consumer within about `seconds`, also when the brokers are away.

    aiokafka's own `stop` may take over ten seconds then, and may raise CancelledError although nobody
    cancelled: it runs as a task, and what it leaves behind is closed here.
    """
    task = asyncio.ensure_future(client.stop())
    done, _ = await asyncio.wait({task}, timeout=seconds)
    if done and not task.cancelled() and task.exception() is None:
        return
    if done and not task.cancelled():
        _log.warning("a client of the log did not stop cleanly: %r", task.exception())
    _fail_what_waits(client)
    leftovers = {task, *_tasks_of(client)}
    # The first cancellation makes a producer wait for its requests, the second ends these.
    for _ in range(3):
        for left in leftovers:
            left.cancel()
        done, leftovers = await asyncio.wait(leftovers, timeout=0.3)
        for left in done:
            if not left.cancelled():
                left.exception()
        if not leftovers:
            break
    connections = asyncio.ensure_future(_connections_of(client).close())
    await asyncio.wait({connections}, timeout=1.0)


def _fail_what_waits(client: Any) -> None:
    """Let a producer's unsent batches fail: its `stop` would wait for them."""
    accumulator = getattr(client, "_message_accumulator", None)
    if accumulator is not None:
        accumulator.fail_all(ProducerClosed())
        for batches in accumulator._batches.values():
            for batch in batches:
                # Nobody else looks at it, and asyncio would complain.
                batch._drain_waiter.exception()


def _connections_of(client: Any) -> Any:
    # A producer calls it `client`, a consumer `_client`; there is no public name for both.
    return client.client if hasattr(client, "client") else client._client


def _tasks_of(client: Any) -> list["asyncio.Task[Any]"]:
    """The background tasks that an interrupted `stop` of aiokafka 0.14 leaves running."""
    found: list[asyncio.Task[Any]] = []
    for owner, names in (
        ("_coordinator", ("_coordination_task", "_heartbeat_task", "_commit_refresh_task")),
        ("_fetcher", ("_fetch_task",)),
        ("_sender", ("_sender_task",)),
    ):
        part = getattr(client, owner, None)
        found += [task for name in names if (task := getattr(part, name, None)) is not None]
        found += list(getattr(part, "_pending_tasks", ()))
    return found

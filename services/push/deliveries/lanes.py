"""A dispatcher's lanes: connections of its channel, opened when there is something to send."""

import asyncio
import logging
from dataclasses import dataclass, field
from uuid import UUID

from services.push.channels.base import (
    MAX_WINDOW,
    Channel,
    ChannelUnavailable,
    Connection,
    Outgoing,
    Report,
)
from services.shared.clock import Clock

log = logging.getLogger(__name__)

IDLE_SECONDS = 20.0


@dataclass(eq=False)
class Lane:
    """A connection and what it has not reported yet."""

    connection: Connection
    used_at: float
    pending: set[UUID] = field(default_factory=set)


class Lanes:
    """Opens, fills and closes connections. `report` gets every result."""

    def __init__(self, channel: Channel, report: Report, clock: Clock) -> None:
        self._channel = channel
        self._report = report
        self._clock = clock
        self._window = min(channel.window, MAX_WINDOW)
        self._open: list[Lane] = []
        self._by_message: dict[UUID, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opening = 0
        self.refusal: ChannelUnavailable | None = None
        """Why the last connection could not be opened; whoever pauses for it takes it away."""
        self.changed = asyncio.Event()

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def free(self) -> int:
        """How many messages the open connections can take now."""
        return sum(self._window - len(lane.pending) for lane in self._open if lane.connection.open)

    def want(self, messages: int) -> None:
        """Open connections for so many messages more, up to the channel's number of lanes."""
        needed = -(-messages // self._window) - self._opening
        spare = self._channel.lanes - len(self._open) - self._opening
        for _ in range(min(needed, spare)):
            self._opening += 1
            self._start(self._connect())

    def submit(self, messages: list[Outgoing]) -> list[Outgoing]:
        """Give messages to the emptiest connections; those for which there was no room come back."""
        ready = [lane for lane in self._open if lane.connection.open]
        now = self._clock.monotonic()
        left = iter(messages)
        for lane in sorted(ready, key=lambda lane: len(lane.pending)):
            for _ in range(self._window - len(lane.pending)):
                message = next(left, None)
                if message is None:
                    return []
                lane.pending.add(message.delivery_id)
                lane.used_at = now
                self._by_message[message.delivery_id] = lane
                lane.connection.submit(message)
        return list(left)

    def done(self, delivery_id: UUID) -> None:
        """A message was reported."""
        lane = self._by_message.pop(delivery_id, None)
        if lane is not None:
            lane.pending.discard(delivery_id)

    def tidy(self) -> None:
        """Let go of connections that broke or have had nothing to do for a while."""
        now = self._clock.monotonic()
        for lane in list(self._open):
            idle = not lane.pending and now - lane.used_at > IDLE_SECONDS
            if idle or not lane.connection.open:
                self._open.remove(lane)
                self._start(lane.connection.close())

    async def close(self) -> None:
        """Close everything; when it returns every message has been reported."""
        closing, self._open = self._open, []
        for lane in closing:
            self._start(lane.connection.close())
        while self._tasks:
            await asyncio.wait(set(self._tasks))
            for lane in self._open:
                self._start(lane.connection.close())
            self._open = []
        await self._channel.close()

    def _start(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a connection of channel %s failed", self._channel.name, exc_info=error)
        self.changed.set()

    async def _connect(self) -> None:
        try:
            connection = await self._channel.connect(self._report)
        except ChannelUnavailable as refusal:
            self.refusal = refusal
            return
        finally:
            self._opening -= 1
        self._open.append(Lane(connection, self._clock.monotonic()))

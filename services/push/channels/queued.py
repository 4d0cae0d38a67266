"""A connection for channels that take one message at a time and drop a repeat of one by its id."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from services.push.channels.base import OutcomeClass, Outgoing, Report, Result
from services.shared.clock import Clock

CLOSE_SECONDS = 3.0


class QueuedConnection:
    """Runs `send` for one message after the other; see `Connection` in the port.

    `send` returns a result for whatever the provider says and drops a repeat of a delivery, so a send
    that is cut off is RETRY_LATER. Should it raise, its message is reported so too, the connection is
    broken, and `close` raises that error.
    """

    def __init__(
        self,
        send: Callable[[Outgoing], Awaitable[Result]],
        report: Report,
        clock: Clock,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._send = send
        self._report = report
        self._clock = clock
        self._close_seconds = close_seconds
        self._queue: deque[Outgoing] = deque()
        self._more = asyncio.Event()
        self._done = asyncio.Event()
        self._closing = False
        self._task = asyncio.create_task(self._run())

    @property
    def open(self) -> bool:
        return not self._closing and not self._done.is_set()

    def submit(self, message: Outgoing) -> None:
        if not self.open:
            self._report(Result(message.delivery_id, None, "connection-closed"))
            return
        self._queue.append(message)
        self._more.set()

    async def close(self) -> None:
        self._closing = True
        self._return_queue()
        self._more.set()
        if not await self._clock.wait(self._done, self._close_seconds):
            self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled():
            self._task.result()

    async def _run(self) -> None:
        try:
            while not self._closing:
                while self._queue:
                    await self._one(self._queue.popleft())
                self._more.clear()
                if not self._closing:
                    await self._more.wait()
        finally:
            self._done.set()
            self._return_queue()

    async def _one(self, message: Outgoing) -> None:
        if self._clock.monotonic() > message.fresh_until:
            self._report(Result(message.delivery_id, None, "stale"))
            return
        result = Result(message.delivery_id, OutcomeClass.RETRY_LATER, "cut-off")
        try:
            result = await self._send(message)
        finally:
            self._report(result)

    def _return_queue(self) -> None:
        while self._queue:
            message = self._queue.popleft()
            self._report(Result(message.delivery_id, None, "connection-closed"))

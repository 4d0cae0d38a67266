"""An event loop of which each turn is taken by whoever drives it: no selector, no timers, no threads."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any


class SteppedLoop(asyncio.AbstractEventLoop):
    """What tasks and futures ask of a loop, and `step`."""

    def __init__(self) -> None:
        self._ready: deque[tuple[asyncio.Handle, Callable[[], Any]]] = deque()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.complaints: list[str] = []

    def step(self) -> bool:
        """Run one callback: what goes on between two awaits of one task. False: there is none."""
        while self._ready:
            handle, call = self._ready.popleft()
            if not handle.cancelled():
                asyncio._set_running_loop(self)
                try:
                    call()
                finally:
                    asyncio._set_running_loop(None)
                return True
        return False

    def drain(self) -> None:
        """Step until nothing is left to do at this time."""
        while self.step():
            pass

    def call_soon(  # type: ignore[override]  # typeshed says more than is needed
        self,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        context = context or contextvars.copy_context()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append((handle, lambda: context.run(callback, *args)))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]  # typeshed says more than is needed
        self, coro: Coroutine[Any, Any, Any], **options: Any
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, **options)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

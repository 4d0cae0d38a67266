"""Group commit: many small requests made durable by one transaction.

Requests that arrive within a short window share a commit; each waits until it is durable. An item that
makes the shared transaction fail is found by running the items alone, so that it fails only itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlmodel import Session

from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import Problem, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Collects items and writes them together.

    `write(session, items)` returns one answer per item, in order; an answer that is a `Problem` is raised
    to the one who submitted that item. What `write` itself raises undoes the whole transaction; then each
    item is tried alone and gets what it raises. `write` runs under the correlation id of any one of them.

    `patience` seconds after a transaction has begun that does not end, all who wait get `TimeoutError`:
    theirs may still become durable when its transaction has begun, and does not when it has not.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        write: Callable[[Session, Sequence[Item]], Sequence[Answer | Problem]],
        *,
        window: float = 0.001,
        limit: int = 256,
        bound: int = 4096,
        patience: float | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._write = write
        self._window = window
        self._limit = limit
        self._bound = bound
        self._patience = patience
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._parallel = 1 if database.dialect == "sqlite" else 4

    @property
    def waiting(self) -> int:
        """How many items wait for their commit."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Answer:
        """Return the answer when `item` is durable.

        Raises `Unavailable` when too many wait already, `TimeoutError` when it takes too long.
        """
        if len(self._waiting) >= self._bound:
            raise Unavailable(("请求过多，请稍后再试。", "Too many requests wait; come again."))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._workers) < self._parallel and (
            not self._workers or len(self._waiting) >= self._limit
        ):
            self._workers.add(asyncio.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                if len(self._waiting) < self._limit:
                    await self._clock.sleep(self._window)
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                batch = [(item, future) for item, future in batch if not future.done()]
                if batch:
                    await self._commit(batch)
        finally:
            # Here, not in a callback of the task: who submits before that would wait for a worker that has gone.
            current = asyncio.current_task()
            if current is not None:
                self._workers.discard(current)
            if not self._workers and self._waiting:
                waiting, self._waiting = self._waiting, []
                _fail(waiting, Unavailable())

    async def _commit(self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        try:
            answers, error = await self._attempt(batch)
            if error is None:
                _answer(batch, answers)
            elif len(batch) == 1 or isinstance(error, Unavailable):
                _fail(batch, error)
            else:
                for single in batch:
                    if not single[1].done():
                        await self._commit([single])
        finally:
            # whatever ended this must not leave anybody waiting for ever
            _fail(batch, Unavailable())

    async def _attempt(
        self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]
    ) -> tuple[Sequence[Answer | Problem], BaseException | None]:
        """The answers of one transaction, or what it raised, whatever that was."""
        items = [item for item, _ in batch]

        def work(session: Session) -> Sequence[Answer | Problem]:
            answers = self._write(session, items)
            if len(answers) != len(items):
                raise RuntimeError("one answer per item is due")
            return answers

        transaction = asyncio.ensure_future(self._database.transaction(work))
        while not (await asyncio.wait({transaction}, timeout=self._patience))[0]:
            waiting, self._waiting = self._waiting, []
            _fail([*batch, *waiting], TimeoutError())
        if transaction.cancelled():
            return (), Unavailable()
        error = transaction.exception()
        return ((), error) if error is not None else (transaction.result(), None)


def _answer(
    batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]], answers: Sequence[Answer | Problem]
) -> None:
    for (_, future), answer in zip(batch, answers, strict=True):
        if future.done():
            continue
        if isinstance(answer, Problem):
            future.set_exception(answer)
        else:
            future.set_result(answer)


def _fail(batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)

"""Group commit: many small requests made durable by one transaction.

Requests that arrive within a short window share a commit; each waits until it is durable. An item that
makes the shared transaction fail is found by running the items alone, so that it fails only itself.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import Problem, Unavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """Collects items and writes them together.

    `write(session, items)` returns one answer per item, in order; an answer that is a `Problem` is raised
    to the one who submitted that item.
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
    ) -> None:
        self._database = database
        self._clock = clock
        self._write = write
        self._window = window
        self._limit = limit
        self._bound = bound
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._workers: set[asyncio.Task[None]] = set()
        self._parallel = 1 if database.dialect == "sqlite" else 4

    @property
    def waiting(self) -> int:
        """How many items wait for their commit."""
        return len(self._waiting)

    async def submit(self, item: Item) -> Answer:
        """Return the answer when `item` is durable. Raises `Unavailable` when too many wait already."""
        if len(self._waiting) >= self._bound:
            raise Unavailable(("请求过多，请稍后再试。", "Too many requests wait; come again."))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._workers) < self._parallel and (
            not self._workers or len(self._waiting) >= self._limit
        ):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)
        return await future

    async def _work(self) -> None:
        while self._waiting:
            if len(self._waiting) < self._limit:
                await self._clock.sleep(self._window)
            batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[tuple[Item, "asyncio.Future[Answer]"]]) -> None:
        items = [item for item, _ in batch]
        try:
            answers = await self._database.transaction(lambda s: self._write(s, items))
        except (SQLAlchemyError, Problem) as error:
            if len(batch) == 1 or isinstance(error, Unavailable):
                _fail(batch, error)
                return
            for single in batch:
                await self._commit([single])
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Problem):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        finally:
            # whatever ended this must not leave anybody waiting for ever
            _fail(batch, Unavailable())


def _fail(batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)

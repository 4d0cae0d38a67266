"""Stores uploads and gives them back, piece by piece, so that no request holds the loop or the memory."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import IO

from services.capture.files import repository
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import TooLarge

MOST_BYTES = 25 * 1024 * 1024
_PIECE = 256 * 1024
_IN_MEMORY = 1024 * 1024
_ABANDONED = timedelta(days=1)


class Upload:
    """A file on its way in. Bytes beyond the bound raise `TooLarge`."""

    def __init__(self, spool: IO[bytes]) -> None:
        self.spool = spool
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        if self.size > MOST_BYTES:
            raise TooLarge(("文件不能超过 25 MB。", "A file may have at most 25 MB."))
        self._hash.update(data)
        self.spool.write(data)

    @property
    def sha256(self) -> str:
        """The name under which it is stored."""
        return self._hash.hexdigest()


@contextmanager
def upload() -> Iterator[Upload]:
    """A place for an upload, gone at the end."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        yield Upload(spool)


class Files:
    """Files in capture's own database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def store(self, given: Upload) -> str:
        """Keep an upload, once however often it comes; its SHA-256. Durable when this returns."""
        sha256, size = given.sha256, given.size
        now = self._clock.now()
        if not await self._database.transaction(lambda s: repository.begin(s, sha256, size, now)):
            return sha256
        given.spool.seek(0)
        number = 0
        while data := given.spool.read(_PIECE):
            await self._database.transaction(
                partial(repository.add_piece, sha256=sha256, number=number, data=data)
            )
            await self._clock.sleep(0)
            number += 1
        await self._database.transaction(lambda s: repository.finish(s, sha256))
        return sha256

    async def read(self, sha256: str) -> AsyncIterator[bytes]:
        """The pieces of a stored file."""
        number = 0
        while True:
            data = await self._database.read(
                partial(repository.piece, sha256=sha256, number=number)
            )
            if data is None:
                return
            yield data
            number += 1

    async def tidy(self) -> None:
        """Forget uploads that were never finished."""
        before = self._clock.now() - _ABANDONED
        await self._database.transaction(lambda s: repository.drop_unfinished(s, before))

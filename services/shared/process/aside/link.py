"""Messages between the two processes, over a socket pair: JSON behind its length."""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

from services.shared.http.internal import InternalClient, ServiceUnreachable

Message = dict[str, Any]

_LENGTH = 4
_ASK_SECONDS = 5.0


class Link:
    """One end. `send` never waits: what is said is small, or was asked for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Message]] = {}

    @classmethod
    async def over(cls, end: socket.socket) -> "Link":
        """The link over one end of a socket pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: Message) -> None:
        """Say something; lost when the other end is gone, which `messages` tells."""
        text = json.dumps(message, separators=(",", ":")).encode()
        if not self._writer.is_closing():
            self._writer.write(len(text).to_bytes(_LENGTH, "big") + text)

    async def ask(self, question: Message) -> Message:
        """The answer to a question. Raises TimeoutError."""
        number = next(self._numbers)
        answer = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            self.send({**question, "ask": number})
            return await asyncio.wait_for(answer, _ASK_SECONDS)
        finally:
            del self._asked[number]

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end says, but answers, until it is gone."""
        while True:
            try:
                length = await self._reader.readexactly(_LENGTH)
                text = await self._reader.readexactly(int.from_bytes(length, "big"))
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            message: Message = json.loads(text)
            if "answer" in message:
                waiting = self._asked.get(message["answer"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)
            else:
                yield message

    def close(self) -> None:
        """Say no more."""
        self._writer.close()


class LinkedClient(InternalClient):
    """Calls another service by way of the process that has it."""

    def __init__(self, service: str, link: Link) -> None:
        super().__init__(f"http://{service}", "")
        self._service = service
        self._link = link

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        question = {"service": self._service, "method": method, "path": path, **options}
        try:
            answer = await self._link.ask(question)
        except TimeoutError as error:
            raise ServiceUnreachable(f"{method} {path}: no answer") from error
        if "unreachable" in answer:
            raise ServiceUnreachable(answer["unreachable"], answer["status"])
        return answer["body"]

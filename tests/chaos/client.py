"""A caller as one should be: it keeps asking, with the same words, until it has an answer."""

import asyncio
import time
from types import TracebackType
from typing import Any

import httpx

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_PATIENCE = 60.0
_PAUSE = 0.05
_LONGEST_PAUSE = 0.5
_AGAIN = frozenset({429, 502, 503, 504})


class GaveUp(AssertionError):
    """No answer within a minute, or one that should not be."""


class Client:
    """Calls over kept connections. A connection that is refused or breaks is no answer."""

    def __init__(self, url: str, key: str | None = None, *, connections: int = 32) -> None:
        headers = {"user-agent": BROWSER}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            trust_env=False,
            timeout=10,
            limits=httpx.Limits(max_connections=connections),
        )
        self.refused = 0

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def ask(self, method: str, path: str, **words: Any) -> httpx.Response:
        """The answer, however often it takes. Raises `GaveUp` after a minute."""
        end = time.monotonic() + _PATIENCE
        while True:
            pause = _PAUSE
            try:
                answer = await self._http.request(method, path, **words)
            except httpx.TransportError:
                self.refused += 1
            else:
                wait = answer.headers.get("retry-after")
                if answer.status_code not in _AGAIN and not (answer.status_code == 409 and wait):
                    return answer
                pause = min(float(wait or _PAUSE), _LONGEST_PAUSE)
            if time.monotonic() > end:
                raise GaveUp(f"{method} {path.partition('?')[0]}: no answer within {_PATIENCE} s")
            await asyncio.sleep(pause)

    async def call(self, method: str, path: str, **words: Any) -> Any:
        """The JSON of an answer that has to be a success."""
        answer = await self.ask(method, path, **words)
        if not answer.is_success:
            raise GaveUp(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    async def is_ready(self) -> bool:
        """Whether the system says that everything behind it works."""
        try:
            answer = await self._http.get("/health/ready", timeout=2)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

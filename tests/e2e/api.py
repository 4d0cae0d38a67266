"""The public API as an operator and a shop use it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from tests.components.waiting import PATIENCE, TooLate
from tests.e2e.systems import RunningSystem

JSON = dict[str, Any]


class Api:
    """Calls of a holder of a key. A refusal fails the test with its problem document."""

    def __init__(self, system: RunningSystem, key: str | None = None) -> None:
        self._client = httpx.AsyncClient(
            base_url=system.url,
            headers={"authorization": f"Bearer {key or system.admin_key}"},
            trust_env=False,
            timeout=PATIENCE,
        )

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **params: Any) -> Any:
        return _answer(await self._client.get(path, params=params))

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return _answer(await self._client.post(path, json=body, headers=headers))

    async def put(self, path: str, body: Any, **headers: str) -> Any:
        return _answer(await self._client.put(path, json=body, headers=headers))

    async def profile_of(self, email: str) -> JSON | None:
        """The profile that an address leads to; None as long as there is none."""
        asked = {"channel": "email", "address": email}
        answer = await self._client.post("/v1/profiles/lookup", json=asked)
        if answer.status_code == 404:
            return None
        found: JSON = _answer(answer)
        return found

    async def all(self, path: str, **params: Any) -> list[JSON]:
        """Every item of a list, page by page."""
        items: list[JSON] = []
        page = await self.get(path, **params)
        items += page["items"]
        while page["next"]:
            page = await self.get(path, **params, cursor=page["next"])
            items += page["items"]
        return items


def _answer(answer: httpx.Response) -> Any:
    request = answer.request
    assert answer.is_success, (
        f"{request.method} {request.url.path}: {answer.status_code} {answer.text}"
    )
    return answer.json() if answer.content else None


async def until(
    ask: Callable[[], Awaitable[Any]],
    holds: Callable[[Any], bool],
    what: str,
    seconds: float = PATIENCE,
) -> Any:
    """The first answer for which `holds`; else `TooLate` with the last one."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        last = await ask()
        if holds(last):
            return last
        if loop.time() > end:
            raise TooLate(f"{what}: not within {seconds:g} s; the last answer was {last}")
        await asyncio.sleep(0.05)

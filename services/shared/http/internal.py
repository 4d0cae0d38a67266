"""Calls between services: httpx with a key of scope `internal` and a deadline on every call."""

from typing import Any

import httpx

from services.shared import correlation


class ServiceUnreachable(Exception):
    """The other service did not answer in time, or with anything but success (`status`)."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InternalClient:
    """Calls one other service. `transport` leads into the same process in the embedded mode."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        deadline: float = 2.0,
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url,
            headers={"authorization": f"Bearer {key}"},
            transport=transport,
            timeout=deadline,
            trust_env=False,
        )

    async def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """The JSON that a GET answers. Raises `ServiceUnreachable`, also for any answer but 2xx."""
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Any) -> Any:
        """The JSON that a POST answers. Raises `ServiceUnreachable`, also for any answer but 2xx."""
        return await self._call("POST", path, json=body)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        headers = {}
        correlation_id = correlation.current()
        if correlation_id:
            headers["x-request-id"] = correlation_id
        try:
            answer = await self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise ServiceUnreachable(f"{method} {path}: {type(error).__name__}") from error
        if not answer.is_success:
            raise ServiceUnreachable(f"{method} {path}: {answer.status_code}", answer.status_code)
        return answer.json()

    async def close(self) -> None:
        await self._client.aclose()

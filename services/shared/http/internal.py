"""Calls between services: httpx with a key of scope `internal` and a deadline on every call."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from services.shared import correlation

if TYPE_CHECKING:
    # imported when the first call is made: a start, and the first page, need none
    import httpx


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
        transport: "Callable[[], httpx.AsyncBaseTransport] | None" = None,
        deadline: float = 2.0,
    ) -> None:
        self._base_url = base_url
        self._key = key
        self._transport = transport
        self._deadline = deadline
        self._client: httpx.AsyncClient | None = None

    async def get(self, path: str, params: dict[str, Any] | None = None) -> Any:
        """The JSON that a GET answers. Raises `ServiceUnreachable`, also for any answer but 2xx."""
        return await self._call("GET", path, params=params)

    async def post(self, path: str, body: Any) -> Any:
        """The JSON that a POST answers. Raises `ServiceUnreachable`, also for any answer but 2xx."""
        return await self._call("POST", path, json=body)

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        import httpx

        headers = {}
        correlation_id = correlation.current()
        if correlation_id:
            headers["x-request-id"] = correlation_id
        if self._client is None:
            self._client = self._open()
        try:
            answer = await self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise ServiceUnreachable(f"{method} {path}: {type(error).__name__}") from error
        if not answer.is_success:
            raise ServiceUnreachable(f"{method} {path}: {answer.status_code}", answer.status_code)
        return answer.json()

    def _open(self) -> "httpx.AsyncClient":
        import httpx

        return httpx.AsyncClient(
            base_url=self._base_url,
            headers={"authorization": f"Bearer {self._key}"},
            transport=self._transport() if self._transport is not None else None,
            timeout=self._deadline,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._client is not None:
            await self._client.aclose()

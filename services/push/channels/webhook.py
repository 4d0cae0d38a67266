"""One signed POST per delivery to the operator's endpoint, as Standard Webhooks v1 has it.

Source: standard-webhooks/standard-webhooks, spec/standard-webhooks.md. `webhook-id` is the delivery id
in every attempt and receivers drop a repeat of it, so a time-out is tried again instead of AMBIGUOUS.
"""

import asyncio
import hashlib
import hmac
import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType

import httpx

from services.push.channels.base import (
    MAX_WINDOW,
    OutcomeClass,
    Outgoing,
    Report,
    Result,
    render,
)
from services.push.channels.queued import CLOSE_SECONDS, QueuedConnection
from services.shared.clock import Clock
from services.shared.http.ssrf import AddressRefused

_MAX_WAIT = timedelta(days=1)
_MAX_ANSWER = 64 * 1024
_LINE_ENDS = re.compile(r"[\r\n\0]+")

STATUS_CLASSES = MappingProxyType(
    {
        410: OutcomeClass.PERMANENT_CONFIG,
        429: OutcomeClass.RATE_LIMITED,
        502: OutcomeClass.RATE_LIMITED,
        504: OutcomeClass.RATE_LIMITED,
    }
)
"""What a status means beyond 2xx (ok) and everything else (retry later)."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """The operator's endpoint. `secrets` are `whsec_…`; all of them sign, for rotation."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    timeout: timedelta = timedelta(seconds=15)
    lanes: int = 16

    def __post_init__(self) -> None:
        if not self.secrets:
            raise ValueError("a webhook needs at least one signing secret")
        for secret in self.secrets:
            signing_key(secret)


def signing_key(secret: str) -> bytes:
    """The key in `whsec_<base64 of 24 to 64 bytes>`. Raises ValueError, without the secret in it."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except Base64Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def sign(keys: Sequence[bytes], webhook_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1,<base64>` per key."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii") for key in keys
    )


def retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3): seconds or a date; at most a day."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return min(timedelta(seconds=min(int(text[:9]), 10**9)), _MAX_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), _MAX_WAIT)


class WebhookChannel:
    """Posts deliveries to one endpoint.

    `client` must go through the guard of `services.shared.http.ssrf`; it stays its maker's.
    """

    name = "webhook"
    window = MAX_WINDOW

    def __init__(
        self,
        settings: WebhookSettings,
        client: httpx.AsyncClient,
        clock: Clock,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._close_seconds = close_seconds
        self._keys = tuple(signing_key(secret) for secret in settings.secrets)
        self.lanes = settings.lanes

    async def connect(self, report: Report) -> QueuedConnection:
        return QueuedConnection(self._send, report, self._clock, self._close_seconds)

    async def close(self) -> None:
        """The client belongs to whoever made it."""

    async def _send(self, message: Outgoing) -> Result:
        now = self._clock.now()
        webhook_id = str(message.delivery_id)
        try:
            body = self._body(message, now)
        except KeyError as error:
            outcome = OutcomeClass.PERMANENT_CONFIG
            return Result(message.delivery_id, outcome, "value-missing", str(error.args[0]))
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._keys, webhook_id, timestamp, body),
        }
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                response = await self._post(body, headers)
        except AddressRefused as error:
            outcome = OutcomeClass.PERMANENT_CONFIG
            return Result(message.delivery_id, outcome, "address-refused", str(error), webhook_id)
        except (httpx.TimeoutException, TimeoutError):
            return self._unanswered(message, "timeout")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._unanswered(message, "unreachable", type(error).__name__)
        return self._result(message, response)

    async def _post(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """The answer's head; of its body no more is read than a connection's reuse is worth."""
        async with self._client.stream(
            "POST", self._settings.url, content=body, headers=headers, follow_redirects=False
        ) as response:
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > _MAX_ANSWER:
                    break
            return response

    def _body(self, message: Outgoing, now: datetime) -> bytes:
        content = message.content
        event = {
            "type": "delivery.requested",
            "timestamp": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": {
                "delivery_id": str(message.delivery_id),
                "subject": _LINE_ENDS.sub(" ", render(content.subject, message.values)).strip(),
                "text": render(content.text, message.values),
                "html": None if content.html is None else render(content.html, message.values),
                "to": message.address,
            },
        }
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")

    def _unanswered(self, message: Outgoing, code: str, detail: str = "") -> Result:
        return Result(
            message.delivery_id,
            OutcomeClass.RETRY_LATER,
            code,
            detail,
            str(message.delivery_id),
        )

    def _result(self, message: Outgoing, response: httpx.Response) -> Result:
        status = response.status_code
        wait = None
        if response.is_success:
            outcome = OutcomeClass.OK
        else:
            outcome = STATUS_CLASSES.get(status, OutcomeClass.RETRY_LATER)
            wait = retry_after(response.headers.get("retry-after"), self._clock.now())
        return Result(
            message.delivery_id,
            outcome,
            str(status),
            "redirects are not followed" if response.is_redirect else "",
            str(message.delivery_id),
            wait,
        )

"""Signing, answers and Retry-After of the webhook channel."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from services.push.channels.base import Content, Outgoing, Result, Slot
from services.push.channels.base import OutcomeClass as Class
from services.push.channels.webhook import (
    WebhookChannel,
    WebhookSettings,
    retry_after,
    sign,
    signing_key,
)
from services.shared.clock import VirtualClock
from services.shared.http.ssrf import Guard, guarded_client
from tests.components.waiting import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
CONTENT = Content(
    subject=("For ", Slot("x", "text")),
    text=("Dear ", Slot("x", "text")),
    html=("<p>", Slot("x", "html"), "</p>"),
    language="en",
    version="v",
)

Handler = Callable[[httpx.Request], httpx.Response]


class Endpoint(httpx.AsyncBaseTransport):
    """Answers come from a function and are streamed, as from a network."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        answer = self._handler(request)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=Chunks(answer.content)
        )


class Chunks(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


async def post(
    handler: Handler, text: str = "Ann & Bo", secrets: tuple[str, ...] = (SECRET,)
) -> tuple[Result, Outgoing]:
    """What one message gives whose request goes to `handler`."""
    async with httpx.AsyncClient(transport=Endpoint(handler)) as client:
        return await send(client, "https://hooks.example/in", text, secrets)


async def send(
    client: httpx.AsyncClient,
    url: str,
    text: str = "x",
    secrets: tuple[str, ...] = (SECRET,),
    timeout: timedelta = timedelta(seconds=15),
) -> tuple[Result, Outgoing]:
    clock = VirtualClock(NOW)
    channel = WebhookChannel(WebhookSettings(url, secrets, timeout), client, clock)
    results: list[Result] = []
    connection = await channel.connect(results.append)
    fresh = clock.monotonic() + 60
    message = Outgoing(uuid4(), "ann@reader.example", CONTENT, {"x": text}, None, None, fresh)
    connection.submit(message)
    await eventually(lambda: results, "a result")
    await connection.close()
    return results[0], message


class TestSigning:
    def test_the_published_vector(self) -> None:
        signature = sign(
            [signing_key(SECRET)],
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
        assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    @pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!", "swordfish"])
    def test_a_secret_that_is_none_is_refused_and_not_told(self, secret: str) -> None:
        with pytest.raises(ValueError, match="whsec_ and the base64") as caught:
            WebhookSettings("https://hooks.example", (secret,))
        assert "swordfish" not in str(caught.value)

    def test_a_secret_is_never_shown_and_one_is_needed(self) -> None:
        assert SECRET not in repr(WebhookSettings("https://hooks.example", (SECRET,)))
        with pytest.raises(ValueError, match="at least one"):
            WebhookSettings("https://hooks.example", ())


class TestRequest:
    async def test_it_is_a_signed_event_of_the_delivery(self) -> None:
        requests: list[httpx.Request] = []

        def take(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            return httpx.Response(204)

        result, message = await post(take, text="Ann & <Bo> 汉")
        (request,) = requests
        assert result.outcome is Class.OK
        assert request.method == "POST"
        assert request.headers["webhook-id"] == str(message.delivery_id)
        assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
        expected = sign(
            [signing_key(SECRET)], str(message.delivery_id), int(NOW.timestamp()), request.content
        )
        assert request.headers["webhook-signature"] == expected
        assert json.loads(request.content) == {
            "type": "delivery.requested",
            "timestamp": "2026-03-02T04:00:00Z",
            "data": {
                "delivery_id": str(message.delivery_id),
                "subject": "For Ann & <Bo> 汉",
                "text": "Dear Ann & <Bo> 汉",
                "html": "<p>Ann &amp; &lt;Bo&gt; 汉</p>",
                "to": "ann@reader.example",
            },
        }
        assert "汉".encode() in request.content

    async def test_every_secret_signs(self) -> None:
        signatures: list[str] = []

        def take(request: httpx.Request) -> httpx.Response:
            signatures.append(request.headers["webhook-signature"])
            return httpx.Response(200)

        await post(take, secrets=(SECRET, OTHER))
        assert [each[:3] for each in signatures[0].split(" ")] == ["v1,", "v1,"]

    async def test_a_subject_stays_one_line(self) -> None:
        bodies: list[bytes] = []

        def take(request: httpx.Request) -> httpx.Response:
            bodies.append(request.content)
            return httpx.Response(200)

        await post(take, text="a\r\nBcc: b\ud800")
        assert json.loads(bodies[0])["data"]["subject"] == "For a Bcc: b?"


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (200, Class.OK),
            (204, Class.OK),
            (301, Class.RETRY_LATER),
            (400, Class.RETRY_LATER),
            (401, Class.RETRY_LATER),
            (404, Class.RETRY_LATER),
            (410, Class.PERMANENT_CONFIG),
            (429, Class.RATE_LIMITED),
            (500, Class.RETRY_LATER),
            (502, Class.RATE_LIMITED),
            (503, Class.RETRY_LATER),
            (504, Class.RATE_LIMITED),
        ],
    )
    async def test_a_status_has_its_class(self, status: int, outcome: Class) -> None:
        result, _ = await post(lambda _request: httpx.Response(status))
        assert (result.outcome, result.code) == (outcome, str(status))

    async def test_retry_after_is_honoured(self) -> None:
        result, _ = await post(lambda _request: httpx.Response(503, headers={"retry-after": "9"}))
        assert result.retry_after == timedelta(seconds=9)

    async def test_the_answers_body_is_not_told(self) -> None:
        result, _ = await post(lambda _request: httpx.Response(400, text="no ann@reader.example"))
        assert "ann" not in result.detail

    async def test_a_connection_that_fails_is_tried_again(self) -> None:
        def fail(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("ann@reader.example refused", request=request)

        result, _ = await post(fail)
        assert (result.outcome, result.code) == (Class.RETRY_LATER, "unreachable")
        assert "ann" not in result.detail

    async def test_an_endpoint_that_hangs_is_tried_again_with_the_same_id(self) -> None:
        async with canary() as (url, _seen):
            client = guarded_client(Guard(["127.0.0.1"]))
            async with client:
                quick = timedelta(seconds=0.1)
                result, message = await send(client, url, timeout=quick)
        assert (result.outcome, result.code) == (Class.RETRY_LATER, "timeout")
        assert result.provider_id == str(message.delivery_id)

    async def test_an_address_that_is_not_public_is_our_configuration(self) -> None:
        async with canary() as (url, seen), guarded_client(Guard()) as client:
            result, _ = await send(client, url.replace("http:", "https:"))
            assert (result.outcome, result.code) == (Class.PERMANENT_CONFIG, "address-refused")
            assert not seen


@asynccontextmanager
async def canary() -> AsyncIterator[tuple[str, list[asyncio.BaseTransport]]]:
    """A server on loopback that never answers and notes who connects."""
    seen: list[asyncio.BaseTransport] = []

    class Silent(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(transport)

    server = await asyncio.get_running_loop().create_server(Silent, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", seen
    finally:
        server.close()
        for transport in seen:
            transport.close()


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("120", 120),
            (" 0 ", 0),
            ("Mon, 02 Mar 2026 04:05:00 GMT", 300),
            ("Mon, 02 Mar 2026 03:00:00 GMT", 0),
            ("99999999999999999999", 86400),
            ("Fri, 02 Mar 2029 04:05:00 GMT", 86400),
        ],
    )
    def test_seconds_and_dates_are_read(self, value: str, seconds: int) -> None:
        assert retry_after(value, NOW) == timedelta(seconds=seconds)

    @pytest.mark.parametrize("value", [None, "", "soon", "-5", "1.5", "٣"])
    def test_anything_else_is_no_answer(self, value: str | None) -> None:
        assert retry_after(value, NOW) is None

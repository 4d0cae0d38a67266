"""Whatever comes over a connection, a server with a door answers as one without: requests made up from a seed."""

import asyncio
import random
import re
from collections.abc import Sequence

from services.shared.process.serve import listen, serve
from services.shared.web.edge import Header
from services.shared.web.hot import Door
from tests.components.waiting import PATIENCE
from tests.shared.process.test_doors import House

ROUNDS = 300
LAST = (
    b"GET /hot/last HTTP/1.1\r\nHost: x\r\nX-Request-ID: the-last-one\r\nConnection: close\r\n\r\n"
)

_PATHS = (
    *["/hot/a"] * 6,
    *("/hot/a?q=1&q=2", "/hot/%61", "/hot/a%00b", "/hot/a?q=%00", "/hot/a#b", "/hot/", "/hot/a?"),
    *("http://x/hot/a", "/hot/../hot/a", "/hot/a;b", '/hot/a"b', "/hot/a//b", "/hot/a?/hot/%zz"),
)
_METHODS = (*["GET", "POST"] * 5, "HEAD", "PUT", "OPTIONS", "get")
_VERSIONS = (*["HTTP/1.1"] * 20, "HTTP/1.0", "HTTP/1.2")
_HEADERS = (
    *("Connection: keep-alive", "Connection: close", "Connection: upgrade", "Upgrade: h2c"),
    *("Expect: 100-continue", "Accept-Language: en", "X-Empty:", "X-Tab: a\tb", "TE: trailers"),
    *("X-Request-ID: another-id", "X-Forwarded-For: 10.0.0.1", "Content-Type: text/plain"),
    *("Content-Length: 0", "X-Space : a", " folded: a", "X-Latin: \xe9", "Cookie: lang=en"),
)
_LENGTHS = ("{}", "0{}", "{}, {}", "+{}", "-1", "9" * 30)


def made_up(chance: random.Random) -> bytes:
    """A request, usually a sound one, whole."""
    method = chance.choice(_METHODS)
    lines = ["Host: x", *chance.choices(_HEADERS, k=chance.choice((0, 0, 1, 2, 4)))]
    if chance.random() < 0.8:
        lines.append("X-Request-ID: of-the-caller")
    body = b""
    if method != "GET" or chance.random() < 0.1:
        body = b"x" * chance.choice((0, 1, 13, 100, 101, 5000))
        if chance.random() < 0.2:
            lines.append(
                chance.choice(("Transfer-Encoding: chunked", "transfer-encoding: Chunked"))
            )
            size = chance.randrange(1, 200)
            parts = [body[at : at + size] for at in range(0, len(body), size)]
            body = b"".join(b"%x;e=1\r\n%b\r\n" % (len(part), part) for part in parts)
            body += b"0\r\n\r\n"
        elif body or chance.random() < 0.7:
            form = "{}" if chance.random() < 0.9 else chance.choice(_LENGTHS)
            lines.append("Content-Length: " + form.replace("{}", str(len(body))))
    chance.shuffle(lines)
    head = [f"{method} {chance.choice(_PATHS)} {chance.choice(_VERSIONS)}", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


class Doorless(House):
    """The same app, to which everything comes by ASGI."""

    def admits(
        self, method: str, path: str, query: bytes, headers: Sequence[Header]
    ) -> tuple[Door, str] | None:
        return None


async def told(port: int, parts: Sequence[bytes]) -> list[str]:
    """What comes back until the server closes, one text for each answer: headers in order of their names."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        found = await reader.read()
    except ConnectionError:  # closed while there was more to come
        pass
    writer.close()
    text = re.sub(r"date: [^\r]*\r\n", "", found.decode("latin-1"))
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "its id", text)
    answers = []
    for answer in text.split("HTTP/1.1 ")[1:]:
        head, _, body = answer.partition("\r\n\r\n")
        status, *headers = head.split("\r\n")
        answers.append("\n".join([status, *sorted(headers), "", body]))
    return answers


async def test_both_ways_give_the_same_answers() -> None:
    chance = random.Random(20261124)
    houses = House(), Doorless()
    listeners = [listen("127.0.0.1", 0) for _ in houses]
    stop = asyncio.Event()
    async with asyncio.timeout(4 * PATIENCE):
        ready = [asyncio.Event() for _ in houses]
        servers = [
            asyncio.create_task(serve(house, listener, event.set, stop))
            for house, listener, event in zip(houses, listeners, ready, strict=True)
        ]
        await asyncio.gather(*(event.wait() for event in ready))
        ports = [listener.getsockname()[1] for listener in listeners]
        for _ in range(ROUNDS):
            sent = b"".join(made_up(chance) for _ in range(chance.choice((1, 1, 2, 4)))) + LAST
            size = chance.choice((len(sent), len(sent), 1000, 7 + len(sent) // 20))
            parts = [sent[at : at + size] for at in range(0, len(sent), size)]
            by_door, by_asgi = await asyncio.gather(*(told(port, parts) for port in ports))
            assert by_door == by_asgi, sent
        stop.set()
        await asyncio.gather(*servers)
    assert houses[0].by_door > ROUNDS / 5
    assert houses[0].route.asked == houses[1].route.asked

"""No spelling of an address, no redirect and no changing name reaches a canary on this machine (S2).

The spellings are those of the published SSRF lists (decimal, octal, hexadecimal, short, mapped, NAT64,
6to4, metadata services, enclosed digits).
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from services.shared.http.ssrf import (
    AddressRefused,
    Guard,
    GuardedBackend,
    SystemResolver,
    guarded_client,
    is_public,
)

TLS = Path(__file__).parents[2] / "push" / "channels" / "email" / "tls"

REFUSED = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192",
    "192.0.2.1", "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "2001:db8::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "3fff::1", "not an address", "",
]  # fmt: skip
ALLOWED = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ALLOWED)
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_public(address)


class Canary:
    """An HTTP server on loopback that counts who connects."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.hosts: list[str] = []
        self.connections = 0


@asynccontextmanager
async def canary(context: ssl.SSLContext | None = None) -> AsyncIterator[Canary]:
    bird = Canary(0)
    transports: list[asyncio.Transport] = []

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            bird.connections += 1
            self.transport = transport
            transports.append(transport)

        def data_received(self, data: bytes) -> None:
            text = data.decode("latin-1")
            bird.hosts += [line[6:] for line in text.split("\r\n") if line[:6].lower() == "host: "]
            path = text.split(" ")[1]
            where = f"Location: http://127.0.0.1:{bird.port}/\r\n" if path == "/redirect" else ""
            status = "302 Found" if where else "200 OK"
            self.transport.write(f"HTTP/1.1 {status}\r\n{where}Content-Length: 0\r\n\r\n".encode())

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0, ssl=context)
    bird.port = server.sockets[0].getsockname()[1]
    try:
        yield bird
    finally:
        server.close()
        for transport in transports:
            transport.abort()


class Names:
    """A resolver with answers of its own; a name with several answers gives them in turn."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers: dict[str, Iterator[Sequence[str]]] = {
            name.replace("_", "."): iter(given) for name, given in answers.items()
        }
        self.asked = 0

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return next(self._answers[host])


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001",
    "017700000001", "localhost", "LOCALHOST", "localhost.", "[::1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "0.0.0.0", "0", "[::]",
]  # fmt: skip


@pytest.mark.parametrize("host", SPELLINGS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_spelling_reaches_this_machine(host: str, scheme: str) -> None:
    async with canary() as bird, guarded_client(Guard()) as client:
        with pytest.raises((AddressRefused, httpx.HTTPError, httpx.InvalidURL)):
            await client.get(f"{scheme}://{host}:{bird.port}/")
        assert bird.connections == 0


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "127。0。0。1"])
async def test_digits_in_disguise_do_not_either(host: str) -> None:
    async with canary() as bird, guarded_client(Guard()) as client:
        with pytest.raises((AddressRefused, httpx.HTTPError, httpx.InvalidURL)):
            await client.get(f"https://{host}:{bird.port}/")
        assert bird.connections == 0


async def test_plain_http_is_refused_before_any_look_up() -> None:
    names = Names(public_example=[["8.8.8.8"]])
    async with guarded_client(Guard(resolver=names)) as client:
        with pytest.raises(AddressRefused, match="https"):
            await client.get("http://public.example/")
    assert names.asked == 0


async def test_a_name_that_leads_inside_is_refused() -> None:
    names = Names(evil_example=[["127.0.0.1"]])
    async with canary() as bird, guarded_client(Guard(resolver=names)) as client:
        with pytest.raises(AddressRefused):
            await client.get(f"https://evil.example:{bird.port}/")
        assert bird.connections == 0


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    names = Names(evil_example=[["8.8.8.8", "127.0.0.1"]])
    async with canary() as bird, guarded_client(Guard(resolver=names)) as client:
        with pytest.raises(AddressRefused):
            await client.get(f"https://evil.example:{bird.port}/")
        assert bird.connections == 0


async def test_a_name_that_changes_after_the_look_is_not_asked_again() -> None:
    names = Names(evil_example=[["8.8.8.8"], ["127.0.0.1"]])
    assert list(await Guard(resolver=names).addresses("evil.example", 443)) == ["8.8.8.8"]
    backend = GuardedBackend(Guard(resolver=names))
    with pytest.raises(AddressRefused):
        await backend.connect_tcp("evil.example", 443)
    assert names.asked == 2


async def test_the_address_that_was_looked_at_is_the_one_connected_to() -> None:
    async with canary() as bird:
        names = Names(shop_example=[["127.0.0.1"], ["8.8.8.8"]])
        guard = Guard(allowed=["shop.example"], resolver=names)
        async with guarded_client(guard) as client:
            answer = await client.get(f"http://shop.example:{bird.port}/")
        assert answer.status_code == 200
        assert names.asked == 1
        assert bird.hosts == [f"shop.example:{bird.port}"]


async def test_a_redirect_is_not_followed_and_would_be_guarded() -> None:
    async with canary() as bird:
        names = Names(shop_example=[["127.0.0.1"]] * 3)
        guard = Guard(allowed=["shop.example"], resolver=names)
        async with guarded_client(guard) as client:
            url = f"http://shop.example:{bird.port}/redirect"
            assert (await client.get(url)).status_code == 302
            with pytest.raises(AddressRefused):
                await client.get(url, follow_redirects=True)
        assert bird.connections == 1


async def test_a_host_allowed_by_name_is_reached_in_any_case() -> None:
    async with canary() as bird, guarded_client(Guard(["LocalHost"])) as client:
        answer = await client.get(f"http://localhost:{bird.port}/")
        assert answer.status_code == 200
        with pytest.raises(AddressRefused):
            await client.get(f"http://127.0.0.1:{bird.port}/")


async def test_tls_keeps_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "loopback_with_key.pem")
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with canary(context) as bird:
        names = Names(localhost=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
        guard = Guard(["localhost", "other.example"], names)
        trust = ssl.create_default_context(cafile=str(TLS / "loopback.pem"))
        async with guarded_client(guard, context=trust) as client:
            answer = await client.get(f"https://localhost:{bird.port}/")
            assert answer.status_code == 200
            with pytest.raises(httpx.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get(f"https://other.example:{bird.port}/")
    assert asked == ["localhost", "other.example"]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with canary() as bird:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{bird.port}")
        names = Names(evil_example=[["10.0.0.1"]])
        async with guarded_client(Guard(resolver=names)) as client:
            with pytest.raises(AddressRefused):
                await client.get("https://evil.example/")
        assert bird.connections == 0


async def test_a_socket_of_this_machine_is_refused() -> None:
    with pytest.raises(AddressRefused):
        await GuardedBackend(Guard()).connect_unix_socket("/run/docker.sock")


async def test_an_unknown_name_is_an_ordinary_failure() -> None:
    class Nowhere:
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            raise OSError("no such host")

    async with guarded_client(Guard(resolver=Nowhere())) as client:
        with pytest.raises(httpx.TransportError):
            await client.get("https://nowhere.example/")


async def test_the_next_address_is_tried_when_one_is_away() -> None:
    async with canary() as bird:
        names = Names(shop_example=[["127.0.0.2", "127.0.0.1"]])
        async with guarded_client(Guard(["shop.example"], names)) as client:
            answer = await client.get(f"http://shop.example:{bird.port}/")
        assert answer.status_code == 200


async def test_the_machines_resolver_says_oserror_for_what_is_no_name() -> None:
    with pytest.raises(OSError, match="name"):
        await SystemResolver().resolve("a" * 80, 443)

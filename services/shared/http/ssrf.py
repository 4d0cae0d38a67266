"""Requests to addresses that somebody typed: only public ones, unless a host is allowed by name.

The address is checked and pinned where the connection is made: the name is resolved once, every address
of it must be public, and the socket goes to one of those, while Host and TLS keep the name. So neither
an odd spelling, nor a redirect, nor a name that changes its address between check and use gets past.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Protocol

import httpcore
import httpx

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_REFUSED = tuple(
    ip_network(block)
    for block in (
        "100.64.0.0/10",  # carrier NAT, where some clouds keep their metadata
        "168.63.129.16/32",  # a public address that a cloud answers its guests on
        "192.0.0.0/24",  # protocol assignments; a cloud has its metadata there
        "192.88.99.0/24",  # relays into 6to4
        "2001::/23",  # Teredo and other special purposes
        "2001:db8::/32",
        "3fff::/20",
    )
)


class AddressRefused(Exception):
    """The address is not one that this system may call. The message names no address."""


class Resolver(Protocol):
    """From a name to addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """The IP addresses of a host, best first. Raises OSError when there are none."""
        ...


class SystemResolver:
    """The machine's resolver."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise OSError("the host is not a name") from None
        return list(dict.fromkeys(str(address[4][0]) for address in found))


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, looking into addresses within addresses."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inner = _embedded(ip)
        if inner is not None:
            return _is_public_v4(inner)
        return ip in _GLOBAL_UNICAST and ip.is_global and not _listed(ip)
    return _is_public_v4(ip)


def _embedded(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a mapped, NAT64 or 6to4 address leads to."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour


def _is_public_v4(ip: IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not _listed(ip)


def _listed(ip: IPv4Address | IPv6Address) -> bool:
    return any(ip.version == block.version and ip in block for block in _REFUSED)


class Guard:
    """Says where a connection may go. `allowed` are host names exempt from every check."""

    def __init__(self, allowed: Collection[str] = (), resolver: Resolver | None = None) -> None:
        self._allowed = frozenset(host.lower().strip("[]").rstrip(".") for host in allowed)
        self._resolver = resolver or SystemResolver()

    def allows_by_name(self, host: str) -> bool:
        """Whether the operator named this host."""
        return host.lower().strip("[]").rstrip(".") in self._allowed

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Where to connect for this host. Raises AddressRefused, or OSError for an unknown name."""
        found = await self._resolver.resolve(host.strip("[]"), port)
        if not found:
            raise OSError("the name has no address")
        if not self.allows_by_name(host) and not all(is_public(address) for address in found):
            raise AddressRefused("the host leads to an address that is not public")
        return found


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects where the guard allows, to the very address that it looked at."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        try:
            addresses = await self._guard.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        for address in addresses:
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the port's signature
        timeout: float | None = None,  # noqa: ARG002
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("no request goes to a socket of this machine")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx.AsyncBaseTransport):
    """An httpx transport whose every connection, also of a redirect, is guarded.

    HTTPS only, but for hosts allowed by name. No proxy from the environment is used.
    """

    def __init__(
        self, guard: Guard, max_connections: int = 16, context: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context or httpx.create_ssl_context(trust_env=False),
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(guard),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme != "https" and not self._guard.allows_by_name(url.host):
            raise AddressRefused("only https is spoken with hosts that are not allowed by name")
        with _as_httpx(request):
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Stream(answer, request),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx(self._request):
            async for chunk in self._answer.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        await self._answer.aclose()


@contextmanager
def _as_httpx(request: httpx.Request) -> Iterator[None]:
    """The errors of the lower library as those that users of httpx catch."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error), request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        raise httpx.TransportError(str(error), request=request) from error


def guarded_client(
    guard: Guard,
    timeout: float = 15.0,
    max_connections: int = 16,
    context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """A client for addresses that somebody typed: guarded, no redirects, no environment.

    `timeout` is in seconds, for each step of a request; `context` has authorities of your own.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(guard, max_connections, context),
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        headers={"user-agent": "Baitwell"},
    )

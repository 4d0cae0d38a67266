"""Whose address a request comes from, behind proxies that are believed and none that are not."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from starlette.requests import HTTPConnection

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(trusted: Sequence[str]) -> tuple[Network, ...]:
    """The networks of `BAITWELL_TRUSTED_PROXIES`. Raises ValueError for a word that is none."""
    return tuple(ipaddress.ip_network(word, strict=False) for word in trusted)


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> str:
    """The address of the visitor: the rightmost of X-Forwarded-For that no trusted proxy has."""
    here = request.client.host if request.client else ""
    if not trusted or not _is_proxy(here, tuple(trusted)):
        return here
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",")]
    for hop in reversed(hops):
        if hop and not _among(hop, trusted):
            return hop[:64]
    return here


@lru_cache(maxsize=64)
def _is_proxy(address: str, trusted: tuple[Network, ...]) -> bool:
    # the same few for every request
    return _among(address, trusted)


def _among(address: str, trusted: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)

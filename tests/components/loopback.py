"""Tests talk to this machine only: any other connection is an error where it is made."""

import ipaddress
import os
import socket
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest


class OutsideTraffic(RuntimeError):
    """Code under test tried to reach another machine."""


def _allowed_hosts() -> frozenset[str]:
    """Addresses of a PostgreSQL elsewhere that the environment names."""
    host = urlsplit(os.environ.get("BAITWELL_TEST_POSTGRES_URL", "")).hostname
    if not host:
        return frozenset()
    return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None))


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine (paths of Unix sockets do)."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0]).partition("%")[0]
    if host in ("", "localhost"):
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback or (mapped or parsed).is_unspecified


def pytest_configure(config: pytest.Config) -> None:
    allowed = _allowed_hosts()
    active = [True]

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not active[0]:
            return
        address = args[1]
        if not is_local(address) and str(address[0]) not in allowed:
            raise OutsideTraffic(f"a test connects to {address}: only loopback is allowed")

    sys.addaudithook(watch)  # cannot be taken off again, hence the switch
    config.add_cleanup(lambda: active.__setitem__(0, False))

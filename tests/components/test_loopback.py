"""The guard that keeps tests on this machine."""

import socket

import pytest

from tests.components.loopback import OutsideTraffic, is_local


@pytest.mark.parametrize(
    "address",
    [
        ("127.0.0.1", 80),
        ("::1", 80, 0, 0),
        ("::ffff:127.0.0.1", 80, 0, 0),
        "/run/x.sock",
        ("localhost", 1),
    ],
)
def test_this_machine_is_local(address: object) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address", [("192.0.2.1", 80), ("2001:db8::1", 80, 0, 0), ("well.example", 80)]
)
def test_other_machines_are_not(address: object) -> None:
    assert not is_local(address)


def test_a_connection_elsewhere_is_an_error() -> None:
    with socket.socket() as outside, pytest.raises(OutsideTraffic):
        outside.connect(("192.0.2.1", 80))

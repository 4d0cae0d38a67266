"""The quick HMAC is the HMAC."""

import hmac

import pytest

from services.shared.keyed import keyed


@pytest.mark.parametrize("length", [0, 1, 16, 63, 64, 65, 200])
def test_it_gives_what_the_library_gives(length: int) -> None:
    key = bytes(range(length))
    mac = keyed(key)
    for text in (b"", b"a", b"x" * 1000):
        assert mac(text) == hmac.digest(key, text, "sha256")

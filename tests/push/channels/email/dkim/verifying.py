"""A second opinion: dkimpy, with a DNS of our own."""

from collections.abc import Iterable

import dkim

from services.push.channels.email.dkim.keys import SigningKey, new_key

RSA = new_key("shop.example", "s1", "rsa")
ED25519 = new_key("shop.example", "s2", "ed25519")
BRAND = new_key("brand.example", "b1", "ed25519")


def valid(raw: bytes, keys: Iterable[SigningKey] = (RSA, ED25519, BRAND)) -> list[bool]:
    """Whether each signature of a message holds, from the top."""
    records = {f"{key.record_name}.".encode(): key.record.encode() for key in keys}

    def txt(name: bytes, timeout: int = 5) -> bytes:
        return records.get(name, b"")

    number = raw.count(b"DKIM-Signature:")
    return [_verified(raw, index, txt) for index in range(number)]


def _verified(raw: bytes, index: int, txt) -> bool:
    try:
        return dkim.DKIM(raw).verify(index, txt)
    except dkim.DKIMException:
        return False

"""Signed tokens in links: they name a thing and hold no personal data.

A token is base64url of: key number (1 byte), id (16), number (2), MAC (16). The MAC is HMAC-SHA-256, cut
to 128 bits, over the kind, those bytes, and the exact text that the link is bound to (a click's target).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from services.shared.errors import NotFound, SetupError
from services.shared.keyed import keyed

Kind = Literal["c", "o", "u", "r", "s"]
"""c click, o open, u unsubscribe, r resource, s person token for a shop (`bw`)."""

_MAC = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_LENGTH = 1 + 16 + 2 + _MAC


class BadToken(NotFound):
    """Forged, cut, or signed with a key that is not in the ring. Tells nothing about which."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Signing keys by number. The first signs, all verify; none is ever thrown away."""

    keys: dict[int, bytes]
    signing: int

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `1:secret,2:secret`; a secret alone is number 1. Raises `SetupError`."""
        keys: dict[int, bytes] = {}
        for part in (p.strip() for p in text.split(",")):
            number, colon, secret = part.partition(":")
            if not colon or not number.isdecimal():  # a secret alone, which may have colons
                number, secret = "1", part
            if len(secret) < 16:
                raise SetupError(
                    "BAITWELL_SECRET_KEYS must read 1:secret,2:secret (16 or more letters)"
                )
            index = int(number[:4])
            if index in keys or not 0 < index < 256:
                raise SetupError("BAITWELL_SECRET_KEYS: numbers are 1 to 255, each once")
            keys[index] = hashlib.sha256(b"baitwell links\x00" + secret.encode()).digest()
        return cls(keys, next(iter(keys)))


class Tokens:
    """Signs and verifies."""

    def __init__(self, ring: KeyRing) -> None:
        self._macs = {number: keyed(key) for number, key in ring.keys.items()}
        self._signing = self._macs[ring.signing]
        self._prefix = bytes((ring.signing,))

    def sign(self, kind: Kind, id_: UUID, number: int = 0, bound: str = "") -> str:
        """A token of `kind` for `id_`; `bound` is text that must come back unchanged beside it."""
        head = self._prefix + id_.bytes + number.to_bytes(2, "big")
        mac = _mac(self._signing, kind, head, bound)
        return _text(head + mac)

    def verify(self, kind: Kind, token: str, bound: str = "") -> tuple[UUID, int]:
        """The id and number of a genuine token. Raises `BadToken`."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise BadToken from error
        if len(raw) != _LENGTH or _text(raw) != token:
            raise BadToken
        head, mac = raw[:-_MAC], raw[-_MAC:]
        sign = self._macs.get(head[0])
        if sign is None or not hmac.compare_digest(mac, _mac(sign, kind, head, bound)):
            raise BadToken
        return UUID(bytes=head[1:17]), int.from_bytes(head[17:19], "big")


def _text(raw: bytes) -> str:
    # as base64.urlsafe_b64encode, in half the time: a mail has several tokens
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=").decode()


def _mac(sign: Callable[[bytes], bytes], kind: str, head: bytes, bound: str) -> bytes:
    return sign(kind.encode() + head + bound.encode("utf-8", "surrogatepass"))[:_MAC]

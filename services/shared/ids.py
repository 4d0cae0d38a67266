"""Identifiers: UUIDv7 for what is new, UUIDv5 (or v8, where order counts) for what follows from something else."""

import hashlib
import os
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from uuid import UUID, SafeUUID

from services.shared.clock import EPOCH, Clock

_NAMESPACE = UUID("6f1c0a52-7d0e-5b8e-9a35-b2d1a1e0f0c4").bytes
_AHEAD = 128
_MILLISECOND = timedelta(milliseconds=1)
_VARIANTS = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}
"""The first digit of the fourth group, with the bits of the variant set over it."""


_VERSION = 0xF << 76

_set_int = UUID.__dict__["int"].__set__
_set_safety = UUID.__dict__["is_safe"].__set__


def uuid_of(digits: str) -> UUID:
    """The UUID of 32 hexadecimal digits, as a database keeps it; half the time of `UUID(digits)`.

    Every row of a hot path has several, and UUID's own way checks for seven other forms first.
    """
    return _uuid(int(digits, 16))


def _uuid(number: int) -> UUID:
    """The UUID of 128 bits."""
    made = object.__new__(UUID)
    _set_int(made, number)
    _set_safety(made, SafeUUID.unknown)
    return made


class Ids:
    """Makes UUIDv7 (RFC 9562, section 5.7) from a clock and a source of random bytes."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._entropy = entropy
        self._noise: list[bytes] = []

    def new(self) -> UUID:
        """A new id. No order is to be read from it."""
        millis = (self._clock.now() - EPOCH) // _MILLISECOND
        if not self._noise:
            # one call for many: on some machines asking the system for random bytes takes 20 µs
            pool = self._entropy(10 * _AHEAD)
            self._noise = [pool[at : at + 10] for at in range(0, len(pool), 10)]
        noise = int.from_bytes(self._noise.pop(), "big")
        # version and variant are set over what the noise has there
        value = (millis & 0xFFFF_FFFF_FFFF) << 80 | noise & 0x0FFF_3FFF_FFFF_FFFF_FFFF
        return _uuid(value | 0x7000_8000_0000_0000_0000)


def derived(*parts: object) -> UUID:
    """The id that follows from `parts`: the same parts give the same id, in any process, for ever."""
    return _uuid(int(_derived_digits(parts), 16))


def derived_beside(id_: UUID, *parts: object) -> UUID:
    """The id that follows from `id_` and `parts`, and stands where `id_` stands in an index.

    A UUIDv8 (RFC 9562, section 5.8) that begins with the time of a UUIDv7: rows that are written together
    fall on the same pages of an index, which those of `derived` do not. The rest is that of `id_` with the
    digest of `parts` over it, so that it takes as much chance as with `id_` itself for two to be the same.
    """
    return _uuid((id_.int ^ _mask(parts)) & ~_VERSION | 0x8 << 76)


@lru_cache(maxsize=256)
def _mask(parts: tuple[object, ...]) -> int:
    """What is laid over an id: neither its time nor its variant changes."""
    return int(_derived_digits(parts), 16) & 0x0FFF_3FFF_FFFF_FFFF_FFFF


def derived_text(*parts: object) -> str:
    """The same as text, for who needs no more than that."""
    digits = _derived_digits(parts)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _derived_digits(parts: tuple[object, ...]) -> str:
    """What uuid5 does (RFC 9562, section 5.5), in half of the time."""
    text = "\x1f".join(map(str, parts))
    digits = hashlib.sha1(_NAMESPACE + text.encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:12]}5{digits[13:16]}{_VARIANTS[digits[16]]}{digits[17:32]}"

"""A DKIM-Signature header (RFC 6376), relaxed/relaxed, without `l=`: everything but the key's own work.

The digest that is signed is SHA-256 for both algorithms (RFC 6376, 3.3; RFC 8463, 3), so a key never has
to see the message.
"""

import hashlib
from base64 import b64encode
from functools import lru_cache
from typing import NamedTuple

_OVERSIGNED = (
    b"from",
    b"to",
    b"cc",
    b"subject",
    b"date",
    b"message-id",
    b"reply-to",
    b"mime-version",
    b"content-type",
    b"list-id",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
"""Signed once more than they stand there, so that nobody can add one (RFC 6376, 8.15; RFC 8058, 4)."""

_IF_PRESENT = (
    b"content-transfer-encoding",
    b"content-language",
    b"precedence",
    b"auto-submitted",
    b"feedback-id",
)

_LINE = 72


class Name(NamedTuple):
    """Which key signs: `algorithm` is `rsa-sha256` or `ed25519-sha256`, the rest says where DNS has it."""

    domain: bytes
    selector: bytes
    algorithm: bytes


class Unsigned(NamedTuple):
    """A header that ends with `b=`, and the SHA-256 digest whose signature belongs behind it."""

    header: bytes
    digest: bytes

    def signed(self, signature: bytes) -> bytes:
        """The whole header, with its line end."""
        value = b64encode(signature)
        lines = [value[at : at + _LINE] for at in range(0, len(value), _LINE)]
        return self.header + b"\r\n ".join(lines) + b"\r\n"


def prepare(raw: bytes, names: tuple[Name, ...], at: int) -> list[Unsigned]:
    """One unsigned header for each name, for a message with CRLF line ends, made at `at` (unix seconds)."""
    head, _, body = raw.partition(b"\r\n\r\n")
    listed, signed = _signed_headers(head)
    body_hash = b64encode(hashlib.sha256(relaxed_body(body)).digest())
    fields = hashlib.sha256(signed)
    made = []
    for name in names:
        header = b"%b\r\n t=%d; bh=%b;\r\n b=" % (_opening(name, listed), at, body_hash)
        over = fields.copy()
        over.update(b":".join(relaxed_header(header)))
        made.append(Unsigned(header, over.digest()))
    return made


def relaxed_header(field: bytes) -> tuple[bytes, bytes]:
    """Name and value of one field without its line end (RFC 6376, 3.4.2)."""
    name, _, value = field.replace(b"\r\n", b"").partition(b":")
    return name.rstrip(b" \t").lower(), _squeezed(value).strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376, 3.4.4."""
    body = _squeezed(body)
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b" "):
        body = body[:-1]
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n" if body else b""


def _squeezed(text: bytes) -> bytes:
    """Each run of spaces and tabs as one space."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    while b"  " in text:
        text = text.replace(b"  ", b" ")
    return text


def _signed_headers(head: bytes) -> tuple[tuple[bytes, ...], bytes]:
    """The names for `h=`, and what they stand for, each field with its line end."""
    # what our composer writes from "From" on is the same for all mails of one content
    cut = head.find(b"\r\nFrom:")
    own, common = (head[:cut], head[cut + 2 :]) if cut > 0 else (head, b"")
    fields = _fields(own)
    listed, places = _plan(tuple([name for name, _ in fields]), common)
    return listed, b"".join(
        [fields[place][1] if isinstance(place, int) else place for place in places]
    )


def _fields(head: bytes) -> list[tuple[bytes, bytes]]:
    """Name and canonical form, with its line end, of each field."""
    unfolded = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    relaxed = [relaxed_header(line) for line in unfolded.split(b"\r\n") if line]
    return [(name, b"%b:%b\r\n" % (name, value)) for name, value in relaxed]


@lru_cache(maxsize=256)
def _plan(
    names: tuple[bytes, ...], common: bytes
) -> tuple[tuple[bytes, ...], tuple[int | bytes, ...]]:
    """The names for `h=`, and which fields they mean: a number of `names`, or one of `common` itself."""
    there: dict[bytes, list[int | bytes]] = {}
    for number, name in enumerate(names):
        there.setdefault(name, []).append(number)
    for name, field in _fields(common):
        there.setdefault(name, []).append(field)
    listed: list[bytes] = []
    places: list[int | bytes] = []
    for name in (*_OVERSIGNED, *_IF_PRESENT):
        found = there.get(name, [])
        # several of one name are taken from the last upwards (5.4.2)
        places += reversed(found)
        listed += [name] * (len(found) + (name in _OVERSIGNED))
    return tuple(listed), tuple(places)


@lru_cache(maxsize=256)
def _opening(name: Name, listed: tuple[bytes, ...]) -> bytes:
    """The header up to what differs from message to message."""
    lines = [b" h="]
    for number, field in enumerate(listed):
        word = field + (b";" if number == len(listed) - 1 else b":")
        if len(lines[-1]) + len(word) > _LINE:
            lines.append(b"  ")
        lines[-1] += word
    return b"DKIM-Signature: v=1; a=%b; c=relaxed/relaxed;\r\n d=%b; s=%b;\r\n%b" % (
        name.algorithm,
        name.domain,
        name.selector,
        b"\r\n".join(lines),
    )

"""Text into the bytes of a message: headers (RFC 2047), addresses (RFC 5321), bodies (RFC 2045).

Nothing here can write a line that its caller did not mean: control characters leave headers as spaces,
and text that looks like an encoded word is itself encoded.
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from functools import lru_cache
from typing import NamedTuple

import idna

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_URL = re.compile(r"https?://[!-;=?-~]+")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_LEADING_DOTS = re.compile(rb"^\.+", re.MULTILINE)

_WORD_OCTETS = 45  # an encoded word is at most 75 characters: 60 of base64, 12 of frame
_LINE = 76
_DOT, _EQUALS = b".="
_MAX_NAME = 200
_MAX_URL = 900  # a header line is at most 998 octets


class AddressInvalid(ValueError):
    """The text cannot stand in an envelope or an address header. The message holds no address."""


class Mailbox(NamedTuple):
    """An address as bytes for envelope and header; `utf8` asks the server for SMTPUTF8 (RFC 6531)."""

    octets: bytes
    domain: bytes
    utf8: bool


def mailbox(address: str) -> Mailbox:
    """The address with an ASCII domain. Raises AddressInvalid.

    Quoted local parts and domain literals are refused; so is what a reader could take for an encoded
    word, because `=` and `?` may stand in a local part.
    """
    if len(address) > 64 or "=?" in address or _PLAIN.fullmatch(address) is None:
        return _unusual_mailbox(address)
    octets = address.encode("ascii")
    return Mailbox(octets, octets[octets.index(b"@") + 1 :], False)


def _unusual_mailbox(address: str) -> Mailbox:
    local, at, domain = address.rpartition("@")
    if not at or not _is_local(local):
        raise AddressInvalid("not an address")
    try:
        name = idna.encode(domain, uts46=True) if not domain.isascii() else domain.encode("ascii")
        octets = local.encode("utf-8")
    except (idna.IDNAError, UnicodeError):
        raise AddressInvalid("the domain is not a name") from None
    if not _DOMAIN.fullmatch(name.decode("ascii")):
        raise AddressInvalid("the domain is not a name")
    _check_size(octets, name, address)
    return Mailbox(octets + b"@" + name, name, utf8=not local.isascii())


def _is_local(local: str) -> bool:
    """A dot-atom in which letters of any script count as atoms (RFC 6531)."""
    if not local.isprintable():
        return False
    ascii_shadow = "".join(letter if letter.isascii() else "x" for letter in local)
    return _LOCAL.fullmatch(ascii_shadow) is not None


def _check_size(local: bytes, domain: bytes, address: str) -> None:
    if len(local) > 64 or len(domain) > 253:
        raise AddressInvalid("the address is too long")
    if "=?" in address:
        raise AddressInvalid("the address looks like an encoded word")


def one_line(text: str) -> str:
    """The text as a header can hold it: one line, no control characters, no space at its ends."""
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    return text.strip()


def header_text(text: str, used: int) -> bytes:
    """Unstructured header text after `used` characters of its line, folded and encoded as needed."""
    line = one_line(text)
    if line.isascii() and "=?" not in line:
        if len(line) < _LINE - used:
            return line.encode("ascii")
        folded = _fold(line, used)
        if folded is not None:
            return folded
    return encoded_words(line, used)


def _fold(line: str, used: int) -> bytes | None:
    """ASCII text broken at single spaces, or None when that would not give the same text back."""
    words = line.split(" ")
    if not all(0 < len(word) < _LINE - used for word in words) or len(line) > 900:
        return None
    lines, width = [words[0]], used + len(words[0])
    for word in words[1:]:
        if width + 1 + len(word) > _LINE:
            lines.append(word)
            width = 1 + len(word)
        else:
            lines[-1] += " " + word
            width += 1 + len(word)
    return "\r\n ".join(lines).encode("ascii")


def encoded_words(line: str, used: int) -> bytes:
    """Encoded words of whole characters, each on a line of its own (RFC 2047, section 5)."""
    words: list[bytes] = []
    room = _WORD_OCTETS - 3 * ((used + 4) // 4)
    chunk = bytearray()
    for letter in line:
        octets = letter.encode("utf-8", "replace")
        if len(chunk) + len(octets) > room:
            words.append(_encoded_word(chunk))
            chunk, room = bytearray(), _WORD_OCTETS
        chunk += octets
    words.append(_encoded_word(chunk))
    return b"\r\n ".join(words)


def _encoded_word(octets: bytes | bytearray) -> bytes:
    return b"=?utf-8?b?" + b64encode(octets) + b"?="


@lru_cache(maxsize=256)
def named_mailbox(name: str, address: str, used: int) -> bytes:
    """`Name <address>` for From and Reply-To, or the bare address. Raises AddressInvalid."""
    octets = mailbox(address).octets
    line = one_line(name)[:_MAX_NAME]
    if not line:
        return octets
    if line.isascii() and "=?" not in line and len(line) < _LINE - used:
        quoted = line if _PHRASE.fullmatch(line) else _quote(line)
        phrase = quoted.encode("ascii")
    else:
        phrase = encoded_words(line, used)
    return phrase + b"\r\n <" + octets + b">"


def _quote(line: str) -> str:
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def header_url(url: str) -> bytes:
    """A link for `List-Unsubscribe`. Raises ValueError when a header cannot hold it."""
    if len(url) > _MAX_URL or "=?" in url or not _URL.fullmatch(url):
        raise ValueError("the unsubscribe link cannot stand in a header")
    return url.encode("ascii")


def quoted_printable(text: str) -> bytes:
    """The text in quoted-printable, its line ends CRLF, as a piece that stands at the start of a line.

    No line of it begins with a dot, so that SMTP has none to double, and the last is at most 75
    characters long: the 76th is free for the soft line break that a splice puts behind it.
    """
    if text.isascii() and text.isprintable() and text[-1:] != " ":
        octets = text.replace("=", "=3D").encode("ascii")
        if octets[:1] != b".":
            if len(octets) < _LINE:
                return octets
            if (broken := _broken(octets)) is not None:
                return broken
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    octets = b2a_qp(text.encode("utf-8", "replace"))
    several = b"\n" in octets
    if octets[:1] == b"." or (several and b"\n." in octets):
        octets = _LEADING_DOTS.sub(_encode_dots, octets)
        several = True
    if several:
        # b2a_qp escapes a space at the end of a line without room for it
        octets = octets.replace(b"=20\n", b"=\n=20\n").replace(b"=09\n", b"=\n=09\n")
        octets = octets.replace(b"\n", b"\r\n")
    elif len(octets) < _LINE:
        return octets
    if len(octets) - octets.rfind(b"\n") - 1 < _LINE:
        return octets
    cut = -3 if octets[-3:-2] == b"=" else -1
    return octets[:cut] + b"=\r\n" + octets[cut:].replace(b".", b"=2E")


def _broken(octets: bytes) -> bytes | None:
    """Printable octets in lines with soft breaks; None where they can't be cut well, as among dots."""
    lines = []
    start = 0
    while len(octets) - start >= _LINE:
        cut = start + _LINE - 1
        while octets[cut] == _DOT or octets[cut - 1] == _EQUALS or octets[cut - 2] == _EQUALS:
            cut -= 1
        if cut - start < _LINE // 2:
            return None
        lines.append(octets[start:cut])
        start = cut
    lines.append(octets[start:])
    return b"=\r\n".join(lines)


def _encode_dots(dots: re.Match[bytes]) -> bytes:
    # each on a line of its own: two octets more could make a full line too long
    return b"=2E=\n" * len(dots[0])

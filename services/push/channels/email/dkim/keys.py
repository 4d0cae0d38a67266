"""Private keys of sender identities, and the DNS records by which others find the public halves.

RFC 6376 (records, RSA), RFC 8301 (RSA has 1024 to 4096 bits), RFC 8463 (Ed25519).
"""

import base64
import binascii
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import idna
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from services.push.channels.email.dkim.signature import Name

Kind = Literal["rsa", "ed25519"]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PADDING = PKCS1v15()
_HASHED = Prehashed(hashes.SHA256())
_INLINE = "base64:"


class KeyInvalid(ValueError):
    """A key or where it should be is wrong; the message is one line and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, the domain that it speaks for, and the selector under which DNS has its public half."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def kind(self) -> Kind:
        return "rsa" if isinstance(self.private, RSAPrivateKey) else "ed25519"

    @property
    def name(self) -> Name:
        """What its signatures say of it."""
        return Name(self.domain.encode(), self.selector.encode(), f"{self.kind}-sha256".encode())

    def sign(self, digest: bytes) -> bytes:
        """The signature of a SHA-256 digest: 0.3 ms for RSA of 2048 bits, 0.03 ms for Ed25519."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(digest, _PADDING, _HASHED)
        return self.private.sign(digest)

    def der(self) -> bytes:
        """The private key as PKCS #8."""
        return self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def pem(self) -> bytes:
        """The private key as a file holds it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def record_name(self) -> str:
        """The name of its TXT record."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The text of its TXT record."""
        public = self.private.public_key()
        if self.kind == "rsa":
            octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={self.kind}; p={base64.b64encode(octets).decode()}"


def new_key(domain: str, selector: str, kind: Kind) -> SigningKey:
    """A key that nobody had before. Raises KeyInvalid."""
    made = generate_private_key(65537, 2048) if kind == "rsa" else Ed25519PrivateKey.generate()
    return SigningKey(domain_name(domain), selector_name(selector), made)


def read_keys(setting: str) -> tuple[SigningKey, ...]:
    """The keys of `domain:selector:file, …`; `base64:<PKCS #8>` may stand for a file. Raises KeyInvalid."""
    keys: list[SigningKey] = []
    for number, entry in enumerate(filter(None, map(str.strip, setting.split(","))), 1):
        parts = entry.split(":", 2)
        if len(parts) != 3 or not parts[2]:
            raise KeyInvalid(f"entry {number} must read domain:selector:file")
        domain, selector = domain_name(parts[0]), selector_name(parts[1])
        key = SigningKey(domain, selector, _private(parts[2], f"{selector} of {domain}"))
        if any(known.domain == domain and known.kind == key.kind for known in keys):
            raise KeyInvalid(f"{domain} has two {key.kind} keys: keep one of them")
        keys.append(key)
    return tuple(keys)


def domain_name(text: str) -> str:
    """A domain as `d=` has it, with A-labels. Raises KeyInvalid."""
    try:
        name = idna.encode(text, uts46=True).decode() if not text.isascii() else text.lower()
    except idna.IDNAError:
        name = ""
    if not _NAME.fullmatch(name) or "." not in name:
        raise KeyInvalid("the domain is that of a sender's address: company.example")
    return name


def selector_name(text: str) -> str:
    """A selector. Raises KeyInvalid."""
    name = text.lower()
    if not _NAME.fullmatch(name):
        raise KeyInvalid("a selector is a word of letters, digits and hyphens, like s2026")
    return name


def _private(where: str, whose: str) -> RSAPrivateKey | Ed25519PrivateKey:
    inline = where.startswith(_INLINE)
    try:
        if inline:
            octets = base64.b64decode(where.removeprefix(_INLINE), validate=True)
        else:
            octets = Path(where).read_bytes()
        pem = octets.lstrip().startswith(b"-----BEGIN")
        if pem and b"PUBLIC KEY-----" in octets:
            raise KeyInvalid(f"the key {whose} is a public key: the private one is needed")
        load = load_pem_private_key if pem else load_der_private_key
        found = load(octets, password=None)
    except OSError as error:
        # the name stays out of it: somebody may have put the key itself there
        why = error.strerror or "no such file"
        raise KeyInvalid(f"the key {whose}: its file can't be read ({why})") from None
    except TypeError:
        raise KeyInvalid(f"the key {whose} has a password: store it without one") from None
    except KeyInvalid:
        raise
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise KeyInvalid(f"the key {whose} is no private key in PEM or DER") from None
    if isinstance(found, Ed25519PrivateKey):
        return found
    if not isinstance(found, RSAPrivateKey):
        raise KeyInvalid(f"the key {whose} is neither RSA nor Ed25519")
    if not 1024 <= found.key_size <= 4096:
        raise KeyInvalid(f"the key {whose} has {found.key_size} bits: 1024 to 4096 are allowed")
    return found

"""What an operator does with signing keys: make one, see the records to publish, ask whether all is well."""

import os
from collections.abc import Callable
from pathlib import Path

from services.push.channels.email.dkim.keys import KeyInvalid, Kind, SigningKey, new_key
from services.push.channels.opening import sender_of, signing_keys
from services.push.settings import PushSettings
from services.shared.errors import SetupError

Say = Callable[[str], None]

_STRING = 255
"""The octets that one string of a TXT record holds (RFC 1035, 3.3.14)."""


def new(domain: str, selector: str, kind: Kind, out: Path, say: Say) -> int:
    """Make a key, keep it in a file that only its owner reads, print its record. Raises `SetupError`."""
    try:
        key = new_key(domain, selector, kind)
    except KeyInvalid as error:
        raise SetupError(str(error)) from None
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SetupError(f"{out} can't be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.pem())
    say(f"The private key is in {out}. Publish this record:\n")
    say(record_line(key))
    say(f"\nand, when DNS shows it, add to BAITWELL_DKIM_KEYS:\n\n{_entry(key, out)}")
    return 0


def records(settings: PushSettings, say: Say) -> int:
    """Print the record of each key that is set; 1 when there is none. Raises `SetupError`."""
    keys = signing_keys(settings)
    for key in keys:
        say(record_line(key))
    if not keys:
        say("BAITWELL_DKIM_KEYS is not set: mail is not signed here")
    return 0 if keys else 1


def verdict(settings: PushSettings) -> str:
    """Whether the keys can be used, without asking DNS; what is well begins with "ok"."""
    try:
        keys = signing_keys(settings)
        domain = sender_of(settings).address.rpartition("@")[2].lower()
    except SetupError as error:
        return str(error)
    if not keys:
        return "ok: mail is not signed here"
    if all(key.domain != domain for key in keys):
        return f"no key for {domain}, which BAITWELL_MAIL_FROM names"
    return f"ok: {', '.join(f'{key.record_name} ({key.kind})' for key in keys)}"


def record_line(key: SigningKey) -> str:
    """The TXT record as a zone file has it, in strings that fit."""
    text = key.record
    strings = [text[at : at + _STRING] for at in range(0, len(text), _STRING)]
    quoted = " ".join(f'"{part}"' for part in strings)
    return f"{key.record_name}. IN TXT ( {quoted} )"


def _entry(key: SigningKey, out: Path) -> str:
    return f"{key.domain}:{key.selector}:{out.resolve()}"

"""Contacts: what people typed, the identity that it stands for, and the keys that stand in for it.

A contact is (channel, account, address). The address is kept as typed for sending; the *identity* is its
normal form, by which two contacts meet; the *contact key* is an HMAC of that identity and may travel
where addresses may not; the *abuse key* is the same with plus-tags folded away.
"""

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

from services.shared.keyed import keyed

_WECHAT_ID = re.compile(r"[A-Za-z0-9_-]{5,32}\Z")
_QQ = re.compile(r"[1-9][0-9]{4,11}\Z")
_OPENID = re.compile(r"[A-Za-z0-9_-]{6,64}\Z")
# What nearly everybody types needs no more than this; the rest is left to the library, which agrees on
# these (a test holds it): plain words with dots, and a domain without what IDNA or RFC 6761 reserves.
_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9]|-(?!-)){0,60}[A-Za-z0-9]\.|[A-Za-z0-9]\.)+[A-Za-z]{2,63}\Z"
)
_SPECIAL_DOMAINS = frozenset({"arpa", "invalid", "local", "localhost", "onion", "test"})
_MAX_LOCAL = 64
_PHONE_SEPARATORS = re.compile(r"[/、;；]")
_MAX_ADDRESS = 254


class Channel(StrEnum):
    """The kinds of contact."""

    EMAIL = "email"
    PHONE = "phone"
    WECHAT = "wechat"
    WECHAT_ID = "wechat_id"
    QQ = "qq"
    QQ_BOT = "qq_bot"


class BadAddress(ValueError):
    """The text is no address of that channel. `reason` is a word of `services.shared.reasons`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Contact(NamedTuple):
    """One way to reach a person. `identity` is the normal form of `address`."""

    channel: Channel
    account: str
    address: str
    identity: str


def parse_contact(
    channel: Channel, typed: str, *, account: str = "", region: str = "CN"
) -> Contact:
    """Read what a person typed as a contact.

    `region` is the ISO 3166 code by which a phone number without a country is read.
    Raises `BadAddress`.
    """
    text = (typed if typed.isascii() else unicodedata.normalize("NFKC", typed)).strip()
    if not text:
        raise BadAddress("required")
    if len(text) > _MAX_ADDRESS:
        raise BadAddress("too_long")
    if channel is Channel.EMAIL:
        return _email(text)
    if channel is Channel.PHONE:
        return _phone(text, region)
    pattern = {Channel.QQ: _QQ, Channel.WECHAT_ID: _WECHAT_ID}.get(channel, _OPENID)
    if not pattern.match(text):
        raise BadAddress(f"not_{channel.value}")
    identity = text.lower() if channel is Channel.WECHAT_ID else text
    return Contact(channel, account, text, identity)


def _email(text: str) -> Contact:
    if _PLAIN_EMAIL.match(text) and len(text) <= _MAX_ADDRESS:
        local, _, domain = text.rpartition("@")
        domain = domain.lower()
        if len(local) <= _MAX_LOCAL and domain.rpartition(".")[2] not in _SPECIAL_DOMAINS:
            return Contact(Channel.EMAIL, "", f"{local}@{domain}", f"{local.lower()}@{domain}")
    # imported here: it is needed by the first address, not by the start of a process
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(
            text, check_deliverability=False, allow_smtputf8=True, test_environment=True
        )
    except EmailNotValidError as error:
        raise BadAddress("not_email") from error
    domain = (checked.ascii_domain or checked.domain).lower()
    local = checked.local_part
    return Contact(Channel.EMAIL, "", f"{local}@{domain}", f"{local.lower()}@{domain}")


def _phone(text: str, region: str) -> Contact:
    # imported here: 0.2 s that only the first phone number has to pay
    import phonenumbers

    first = next((part.strip() for part in _PHONE_SEPARATORS.split(text) if part.strip()), "")
    digits = first.replace("转", " ext. ")
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        raise BadAddress("not_phone") from error
    if not phonenumbers.is_possible_number(number) or not phonenumbers.is_valid_number(number):
        raise BadAddress("not_phone")
    identity = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if number.extension:  # behind one switchboard there are many people
        identity = f"{identity};ext={number.extension}"
    return Contact(Channel.PHONE, "", first, identity)


class ContactKeys:
    """Keyed hashes of contacts, under a pepper that is never rotated."""

    def __init__(self, pepper: bytes) -> None:
        if len(pepper) < 16:
            raise ValueError("the contact key needs at least 16 bytes")
        self._mac = keyed(pepper)

    def contact_key(self, contact: Contact) -> str:
        """The key by which a contact is known outside of `leads`, `profiles` and `push-requests`."""
        return self._hash("contact", contact.channel, contact.account, contact.identity)

    def abuse_key(self, contact: Contact) -> str:
        """The key under which limits against mail bombing count: the mailbox behind the address."""
        channel, identity = contact.channel, contact.identity
        if channel is Channel.QQ:  # a QQ number is also a mailbox
            channel, identity = Channel.EMAIL, f"{identity}@qq.com"
        if channel is Channel.EMAIL:
            identity = _folded(identity)
        return self._hash("abuse", channel, "", identity)

    def opaque(self, kind: str, text: str) -> str:
        """A keyed hash of other personal data, such as an IP address kept as proof."""
        return self._hash(kind, "", "", text)

    def _hash(self, kind: str, channel: str, account: str, identity: str) -> str:
        text = "\x1f".join((kind, channel, account, identity))
        return self._mac(text.encode()).hex()[:40]


def _folded(identity: str) -> str:
    local, _, domain = identity.rpartition("@")
    local = local.split("+", 1)[0] or local
    if domain in {"gmail.com", "googlemail.com"}:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"

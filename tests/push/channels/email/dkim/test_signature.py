"""Signatures as another program sees them, and the examples of the RFCs."""

import base64
import hashlib
import re
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings

from services.push.channels.base import Content, Outgoing, SenderIdentity
from services.push.channels.email.dkim.signature import relaxed_body, relaxed_header
from services.push.channels.email.dkim.signer import Signer
from services.push.channels.email.message import Composed, Composer
from services.shared.clock import VirtualClock
from tests.push.channels.email.dkim.verifying import BRAND, ED25519, RSA, valid
from tests.push.channels.email.test_message import CONTENT, HOSTILE, LINK, SENDER, TEXT

SIGNER = Signer((RSA, ED25519, BRAND), VirtualClock())

# RFC 8463, appendix A
FOOTBALL = b"""\
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
FOOTBALL_KEY = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
FOOTBALL_BODY = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
FOOTBALL_HEADER = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=""".replace(b"\n", b"\r\n")
FOOTBALL_SIGNATURE = (
    "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
)


def composed(
    values: dict[str, str],
    *,
    content: Content = CONTENT,
    sender: SenderIdentity | None = None,
    link: str | None = LINK,
) -> Composed:
    outgoing = Outgoing(UUID(int=7), "ann@reader.example", content, values, sender, link, 0.0)
    return Composer(SENDER, VirtualClock()).compose(outgoing)


def signed(text: str = "Hello\n", **options) -> bytes:
    content = Content((text[:100],), (text,), None, "en", text)
    return SIGNER.sign_now(composed({}, content=content, **options)).raw


def listed(raw: bytes) -> list[str]:
    found = re.search(rb"\bh=([^;]*);", raw)
    assert found is not None
    return "".join(found[1].decode().split()).split(":")


class TestExamples:
    def test_rfc_6376_3_4_5(self) -> None:
        assert relaxed_header(b"A: X") == (b"a", b"X")
        assert relaxed_header(b"B : Y\t\r\n\tZ  ") == (b"b", b"Y Z")
        assert relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"

    def test_an_empty_body_stays_empty(self) -> None:
        assert relaxed_body(b"") == relaxed_body(b"\r\n \r\n") == b""

    def test_rfc_8463_appendix_a(self) -> None:
        head, _, body = FOOTBALL.partition(b"\r\n\r\n")
        body_hash = hashlib.sha256(relaxed_body(body)).digest()
        assert base64.b64encode(body_hash).decode() == FOOTBALL_BODY
        fields = [relaxed_header(line) for line in head.split(b"\r\n")]
        text = b"".join(b"%b:%b\r\n" % field for field in fields)
        text += b"%b:%b" % relaxed_header(FOOTBALL_HEADER)
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(FOOTBALL_KEY))
        signature = key.sign(hashlib.sha256(text).digest())
        assert base64.b64encode(signature).decode() == FOOTBALL_SIGNATURE


class TestSecondOpinion:
    @settings(max_examples=100, deadline=None)
    @given(a=TEXT, b=TEXT, link=TEXT)
    @example(a=HOSTILE[0], b=HOSTILE[1], link=HOSTILE[6])
    @example(a="\n\n\n", b="tab\t\t x ", link=" \n \n")
    def test_any_text_is_signed_so_that_others_agree(self, a: str, b: str, link: str) -> None:
        values = {"var:a": a, "var:b": b, "link:0": link, "open": "."}
        assert valid(SIGNER.sign_now(composed(values)).raw) == [True, True]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_every_hostile_text_in_a_message_of_one_part(self, text: str) -> None:
        assert valid(signed(text + "\n\n\n")) == [True, True]
        assert valid(signed(text, link=None)) == [True, True]

    def test_lines_are_no_longer_than_mail_allows(self) -> None:
        head = signed().partition(b"\r\nTo:")[0]
        assert all(len(line) <= 78 for line in head.split(b"\r\n"))

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b"Hello\r\n", b"Hallo\r\n"),
            (b"To: ann@", b"To: eve@"),
            (b"Subject: Hello", b"Subject: Hell"),
            (b"From: Example", b"From: Someone"),
            (b"<https://news.example/u/", b"<https://evil.example/u/"),
            (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=Two-Click"),
            (b"Message-ID: <", b"Message-ID: <x"),
            (b"\r\nTo:", b"\r\nFrom: eve@evil.example\r\nTo:"),
            (b"\r\nTo:", b"\r\nSubject: Win\r\nTo:"),
            (b"\r\nTo:", b"\r\nReply-To: eve@evil.example\r\nTo:"),
            (b"\r\nTo:", b"\r\nList-Unsubscribe: <https://evil.example>\r\nTo:"),
        ],
    )
    def test_what_was_changed_or_added_on_the_way_does_not_verify(
        self, before: bytes, after: bytes
    ) -> None:
        raw = signed()
        assert raw.count(before) >= 1
        assert valid(raw.replace(before, after, 1)) == [False, False]

    def test_spaces_and_empty_lines_may_change_on_the_way(self) -> None:
        raw = signed().replace(b"Subject: Hello", b"SUBJECT:   Hello ") + b"\r\n\r\n"
        assert valid(raw) == [True, True]


class TestWhatIsSigned:
    def test_both_unsubscribe_headers_are_covered_and_cannot_be_added_again(self) -> None:
        names = listed(signed())
        for name in ("from", "to", "subject", "date", "message-id"):
            assert names.count(name) == 2
        assert names.count("list-unsubscribe") == names.count("list-unsubscribe-post") == 2
        assert names.count("reply-to") == 1

    def test_the_whole_body_is_signed(self) -> None:
        assert b" l=" not in signed()

    def test_each_sender_identity_has_its_own_keys(self) -> None:
        brand = SenderIdentity("Brand", "hello@Brand.example")
        raw = signed(sender=brand)
        assert b"d=brand.example; s=b1;" in raw
        assert valid(raw) == [True]
        assert re.findall(rb"; s=(\w+);", signed()) == [b"s1", b"s2"]

    def test_a_sender_without_a_key_is_not_signed(self) -> None:
        other = composed({}, content=Content(("s",), ("t",), None, "en", "o"))
        other = other._replace(sender=b"x@mail.shop.example")
        assert not SIGNER.covers(other)
        assert SIGNER.sign_now(other) == other

"""A finished message, parsed by the standard library, is exactly what was meant."""

import email
import email.policy
import html
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.push.channels.base import (
    Content,
    Outgoing,
    Segments,
    SenderIdentity,
    Slot,
    render,
)
from services.push.channels.email.encoding import AddressInvalid, mailbox
from services.push.channels.email.message import Composed, ComposeError, Composer
from services.shared.clock import VirtualClock

SENDER = SenderIdentity("Example News", "news@shop.example")
LINK = "https://news.example/u/AbC_d-1"
BULK_HEADERS = {
    "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "From", "Content-Language",
    "List-ID", "List-Unsubscribe-Post", "Precedence", "MIME-Version", "Content-Type",
}  # fmt: skip
PLAIN_HEADERS = {
    "To", "Subject", "Date", "Message-ID", "From", "Content-Language", "Auto-Submitted",
    "MIME-Version", "Content-Type",
}  # fmt: skip

HOSTILE = [
    "=?utf-8?q?hi=0ABcc:_evil@example.com?=",
    "a\r\nBcc: evil@example.com\r\n\r\nbody",
    "a\nBcc: evil@example.com",
    "a\rBcc: evil@example.com",
    "a\x0bBcc: x\x0c\x1c\x1d\x1e\x85\u2028Bcc: y\u2029",
    ".\r\n.\r\nQUIT\r\n",
    ".hidden\n..two\n.",
    "\n.\n",
    "\r\n.\r\nMAIL FROM:<evil@example.com>\r\n",
    "=3D=\r\n=",
    "--=_boundary--",
    "x" * 5000,
    "汉" * 400,
    "🎁" * 100 + " 👨‍👩‍👧",
    "ends with space \n tab\t\n ",
    "\x00\x01\x7f",
    "a\ud800b",
    "From me\nFrom you",
    "<script>&\"'",
    "a  b   c",
    "x" * 75 + " \n" + "y" * 75 + "\t\nz",
    "x" * 73 + "汉 \n",
    " =?utf-8?b?aGk=?= =?utf-8?b?aGk=?= ",
    "word " * 60,
    "",
]

TEXT = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="=.\r\n <>&?-_ab汉🎁\t", max_size=200),
    st.sampled_from(HOSTILE),
    st.tuples(st.sampled_from(HOSTILE), st.text(max_size=80)).map("".join),
)


def message(
    content: Content,
    values: dict[str, str],
    *,
    address: str = "ann@reader.example",
    link: str | None = LINK,
    sender: SenderIdentity | None = None,
    delivery_id: UUID | None = None,
) -> Outgoing:
    return Outgoing(delivery_id or uuid4(), address, content, values, sender, link, 0.0)


def compose(outgoing: Outgoing, sender: SenderIdentity = SENDER) -> Composed:
    return Composer(sender, VirtualClock()).compose(outgoing)


def parsed(composed: Composed) -> EmailMessage:
    found = email.message_from_bytes(composed.raw, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def body(found: EmailMessage, kind: str) -> str:
    part = found.get_body((kind,))
    assert isinstance(part, EmailMessage)
    assert not part.defects
    assert set(part.keys()) >= {"Content-Type", "Content-Transfer-Encoding"}
    content = part.get_content()
    assert isinstance(content, str)
    return content


def meant(text: str) -> str:
    """A text's line ends as CRLF; half surrogates cannot be written and become question marks."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return plain.replace("\n", "\r\n")


def meant_parts(segments: Segments, values: dict[str, str]) -> str:
    """Piece by piece: a lone CR at the end of one and an LF at the start of the next are two."""
    return "".join(meant(render((segment,), values)) for segment in segments)


def meant_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+", " ", text).strip()


CONTENT = Content(
    subject=("For ", Slot("var:a", "text"), ": ", Slot("var:b", "text")),
    text=(
        Slot("var:a", "text"), "Dear ", Slot("var:b", "text"), Slot("var:a", "text"),
        "\nYour link: ", Slot("link:0", "text"), "\n.\n", Slot("var:b", "text"), "\n",
    ),
    html=(
        "<p>", Slot("var:a", "html"), '</p>\n<a href="', Slot("link:0", "html"), '">',
        Slot("var:b", "html"), "</a>", Slot("open", "html"),
    ),
    language="zh-CN",
    version="t:zh-CN",
)  # fmt: skip


def check_lines(raw: bytes) -> None:
    """Line ends are CRLF only, nothing is over-long, nothing begins with a dot, all is ASCII."""
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert all(len(line) <= 76 for line in rest.split(b"\r\n"))
    assert not any(line.startswith(b".") for line in raw.split(b"\r\n"))
    assert raw.isascii()


DETAILS = {
    "not an address",
    "the domain is not a name",
    "the address is too long",
    "the address looks like an encoded word",
}


def is_mailbox(address: str) -> bool:
    try:
        mailbox(address)
    except AddressInvalid:
        return False
    return True


class TestAnyText:
    @settings(max_examples=200, deadline=None)
    @given(a=TEXT, b=TEXT, link=TEXT)
    @example(a=HOSTILE[0], b=HOSTILE[1], link=HOSTILE[6])
    def test_values_come_out_as_they_went_in(self, a: str, b: str, link: str) -> None:
        values = {"var:a": a, "var:b": b, "link:0": link, "open": "."}
        composed = compose(message(CONTENT, values))
        check_lines(composed.raw)
        found = parsed(composed)
        assert sorted(found.keys()) == sorted(BULK_HEADERS)
        assert found["Subject"] == meant_line(f"For {a}: {b}")
        assert body(found, "plain") == meant_parts(CONTENT.text, values)
        assert CONTENT.html is not None
        assert body(found, "html") == meant_parts(CONTENT.html, values)

    @settings(max_examples=200, deadline=None)
    @given(literal=TEXT, after=TEXT, value=TEXT)
    @example(literal=HOSTILE[-3], after=HOSTILE[-4], value=HOSTILE[-3])
    def test_literals_come_out_as_they_went_in(self, literal: str, after: str, value: str) -> None:
        content = Content(
            subject=(literal,),
            text=(literal, Slot("x", "text"), after),
            html=(literal, after, Slot("x", "html")),
            language="en",
            version=literal + after,
        )
        composed = compose(message(content, {"x": value}))
        check_lines(composed.raw)
        found = parsed(composed)
        assert sorted(found.keys()) == sorted(BULK_HEADERS)
        assert found["Subject"] == meant_line(literal)
        assert body(found, "plain") == meant(literal) + meant(value) + meant(after)
        assert body(found, "html") == meant(literal + after) + meant(html.escape(value))

    @settings(max_examples=200, deadline=None)
    @given(name=TEXT, value=TEXT)
    def test_a_senders_name_cannot_add_a_header(self, name: str, value: str) -> None:
        sender = SenderIdentity(name, "brand@shop.example", "help@shop.example")
        content = Content((value,), (value,), None, "en", "one")
        composed = compose(message(content, {}, sender=sender, link=None))
        found = parsed(composed)
        assert sorted(found.keys()) == sorted(
            [*PLAIN_HEADERS, "Reply-To", "Content-Transfer-Encoding"]
        )
        (address,) = found["From"].addresses
        assert address.addr_spec == "brand@shop.example"
        # some parsers put a space between the encoded words of a long name, so spaces are left out
        shown = "".join(address.display_name.split())
        assert shown == "".join(meant_line(name)[:200].split())
        assert found["Reply-To"] == "help@shop.example"

    @settings(max_examples=200, deadline=None)
    @given(address=st.one_of(TEXT, TEXT.map(lambda text: f"{text}@reader.example")))
    @example(address="=?utf-8?q?a?=@reader.example")
    @example(address="a@reader.example\r\nBcc: evil@example.com")
    @example(address="a@reader.example>\r\nRCPT TO:<evil@example.com")
    def test_an_address_is_one_address_or_refused(self, address: str) -> None:
        content = Content(("s",), ("t",), None, "en", "one")
        outgoing = message(content, {}, address=address)
        if not is_mailbox(address):
            with pytest.raises(ComposeError) as caught:
                compose(outgoing)
            assert caught.value.recipient
            assert caught.value.detail in DETAILS
            return
        composed = compose(outgoing)
        assert not re.search(rb"[\s<>\x00-\x1f]", composed.recipient)
        found = email.message_from_bytes(composed.raw, policy=email.policy.default)
        assert sorted(found.keys()) == sorted([*BULK_HEADERS, "Content-Transfer-Encoding"])


class TestHeaders:
    CONTENT = Content(("Hello",), ("text",), ("<p>html</p>",), "en", "h")

    def test_text_comes_before_html(self) -> None:
        found = parsed(compose(message(self.CONTENT, {})))
        assert found.get_content_type() == "multipart/alternative"
        parts = [part.get_content_type() for part in found.iter_parts()]
        assert parts == ["text/plain", "text/html"]

    def test_one_click_headers_are_exact(self) -> None:
        raw = compose(message(self.CONTENT, {})).raw
        assert b"\r\nList-Unsubscribe: <https://news.example/u/AbC_d-1>\r\n" in raw
        assert b"\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" in raw
        assert raw.count(b"List-Unsubscribe-Post") == 1

    def test_a_transactional_message_has_no_list_headers(self) -> None:
        found = parsed(compose(message(self.CONTENT, {}, link=None)))
        assert sorted(found.keys()) == sorted(PLAIN_HEADERS)
        assert found["Auto-Submitted"] == "auto-generated"

    def test_message_id_derives_from_the_delivery_under_any_sender(self) -> None:
        delivery_id = uuid4()
        other = SenderIdentity("Other", "x@brand.example")
        ids = {
            compose(message(self.CONTENT, {}, sender=sender, delivery_id=delivery_id)).message_id
            for sender in (None, other)
        }
        assert ids == {f"{delivery_id}@shop.example"}

    def test_date_is_now(self) -> None:
        clock = VirtualClock(datetime(2026, 3, 2, 4, 0, tzinfo=UTC))
        composer = Composer(SENDER, clock)
        dates = []
        for _ in range(2):
            dates.append(parsed(composer.compose(message(self.CONTENT, {})))["Date"].datetime)
            clock.advance(3600)
        assert [date.hour for date in dates] == [4, 5]

    def test_a_domain_in_letters_of_its_own_is_written_in_ascii(self) -> None:
        composed = compose(message(self.CONTENT, {}, address="ann@bücher.example"))
        assert composed.recipient == b"ann@xn--bcher-kva.example"
        assert not composed.utf8

    def test_a_local_part_in_letters_of_its_own_asks_for_smtputf8(self) -> None:
        composed = compose(message(self.CONTENT, {}, address="用户@例子.example"))
        assert composed.utf8
        assert composed.recipient.decode() == "用户@xn--fsqu00a.example"

    @pytest.mark.parametrize(
        "url",
        [
            "https://a.example/\r\nBcc: x",
            "javascript:alert(1)",
            "https://a.example/>x",
            "https://a.example/" + "x" * 1000,
            "https://a.example/=?utf-8?q?x?=",
        ],
    )
    def test_an_unsubscribe_link_that_a_header_cannot_hold_is_our_fault(self, url: str) -> None:
        with pytest.raises(ComposeError) as caught:
            compose(message(self.CONTENT, {}, link=url))
        assert caught.value.code == "unsubscribe-link"
        assert not caught.value.recipient

    def test_a_sender_that_is_no_address_is_our_fault(self) -> None:
        sender = SenderIdentity("x", "not an address")
        with pytest.raises(ComposeError) as caught:
            compose(message(self.CONTENT, {}, sender=sender))
        assert (caught.value.code, caught.value.recipient) == ("sender-invalid", False)

    def test_a_language_tag_that_is_none_is_left_out(self) -> None:
        content = Content(("s",), ("t",), None, "en\r\nBcc: x", "l")
        assert "Content-Language" not in parsed(compose(message(content, {})))


class TestSkeletons:
    def test_another_content_under_the_same_version_is_not_confused(self) -> None:
        composer = Composer(SENDER, VirtualClock())
        for word in ("one", "two"):
            content = Content((word,), (word,), None, "en", "same")
            found = parsed(composer.compose(message(content, {})))
            assert found["Subject"] == word

    def test_many_versions_are_bounded_and_right(self) -> None:
        composer = Composer(SENDER, VirtualClock())
        for number in range(300):
            word = f"version {number}"
            content = Content((word,), (word,), None, "en", str(number))
            assert parsed(composer.compose(message(content, {})))["Subject"] == word

    def test_a_slot_that_escapes_as_another_part_is_refused_early(self) -> None:
        with pytest.raises(ValueError, match="html must escape as html"):
            Content(("s",), ("t",), (Slot("var:a", "text"),), "en", "v")
        with pytest.raises(ValueError, match="text must escape as text"):
            Content(("s",), (Slot("var:a", "html"),), None, "en", "v")

"""The mail that arrived at the sink, read as people's programs read it: for its links."""

import html
import quopri
import re
from dataclasses import dataclass
from typing import Literal

from bench.sinks.smtp import Sink

_LINK = re.compile(rb"https?://[^\s\"'<>()]+/(r|c|o|u)/[^\s\"'<>()]+")
_ONE_CLICK = re.compile(rb"^List-Unsubscribe: <([^>]+)>", re.MULTILINE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]+)>", re.MULTILINE)

Kind = Literal["bait", "campaign"]


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it arrived. `delivery` is the left part of its Message-ID."""

    number: int
    delivery: str
    recipient: str
    kind: Kind
    links: dict[str, str]
    one_click: str | None


class Postbox:
    """All mail of a sink, in order of arrival."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.mails: list[Mail] = []
        self.campaign_mails = 0

    def count(self) -> int:
        """How many mails of the campaign have arrived up to now."""
        return sum(_ONE_CLICK.search(message.raw) is not None for message in self._sink.taken)

    def fetch(self) -> list[Mail]:
        """What came since the last time."""
        taken = self._sink.taken[len(self.mails) :]
        fresh = [
            _read(number, message.recipient, message.raw)
            for number, message in enumerate(taken, len(self.mails))
        ]
        self.mails += fresh
        self.campaign_mails += sum(mail.kind == "campaign" for mail in fresh)
        return fresh


def _read(number: int, recipient: bytes, raw: bytes) -> Mail:
    head, _, body = raw.partition(b"\r\n\r\n")
    head = head.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
    message_id = _MESSAGE_ID.search(head)
    one_click = _ONE_CLICK.search(head)
    links: dict[str, str] = {}
    for found in _LINK.finditer(quopri.decodestring(body)):
        links.setdefault(found[1].decode(), html.unescape(found[0].decode()))
    return Mail(
        number=number,
        delivery=message_id[1].decode().partition("@")[0] if message_id else "",
        recipient=recipient.decode().lower(),
        kind="campaign" if one_click else "bait",
        links=links,
        one_click=one_click[1].decode() if one_click else None,
    )

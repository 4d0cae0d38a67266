"""Addresses that stand in templates: which may, and which become tracked links."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from services.push.templates import marks
from services.push.templates.syntax import Faulty

MAX_ADDRESS = 2000
MAX_LINKS = 200

LineAt = Callable[[int], int | None]
"""On which line of the source a place in marked text is."""

BARE = re.compile(r"https?://[^\s<>\"'`{}\\^|，。；：！？、（）【】《》「」“”‘’…]+", re.IGNORECASE)
"""An address written out in text. Marks belong to it: one inside makes it a personal link."""

_TRAILING = ".,;:!?)]}'*_~>"


class Targets:
    """The tracked targets of one content, numbered in the order in which they are first seen."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, target: str, line: int | None = None) -> str:
        """The mark of the hole for this target's link. Raises `Faulty` for too many."""
        number = self._numbers.setdefault(target, len(self._numbers))
        if number >= MAX_LINKS:
            raise Faulty("too_complex", line, f"> {MAX_LINKS} links")
        return marks.link(number)

    def all(self) -> tuple[str, ...]:
        """Every target, by its number."""
        return tuple(self._numbers)


def check_web(address: str, line: int | None) -> str:
    """An absolute http or https address as a browser takes it. Raises `Faulty`."""
    if marks.OPEN in address or marks.EDGE in address:
        raise Faulty("personal_link", line)
    address = address.strip()
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise Faulty("not_url", line) from error
    wrong = (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or port == 0
        or len(address) > MAX_ADDRESS
        or re.search(r"[\s\\<>\"]", address)
    )
    if wrong:
        raise Faulty("not_url", line, address[:60])
    return address


def track_bare(text: str, targets: Targets, line_at: LineAt) -> str:
    """Text with every written-out address replaced by the mark of its tracked link."""

    def replaced(found: re.Match[str]) -> str:
        line = line_at(found.start())
        address = found[0].rstrip(marks.EDGE)
        if marks.OPEN in address or marks.EDGE in address:
            raise Faulty("personal_link", line)
        kept = address.rstrip(_TRAILING)
        if kept.count("(") > kept.count(")") and address[len(kept) :].startswith(")"):
            kept += ")"
        return targets.mark(check_web(kept, line), line) + found[0][len(kept) :]

    return BARE.sub(replaced, text)

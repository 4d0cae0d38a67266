"""What no text of a visitor or an operator may hold: characters that hide, reorder or break out."""

import re
import unicodedata

_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but TAB and LF
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of reading
    "\u2028\u2029\ufff9-\ufffb\ufeff"  # separators, annotations, byte order marks inside a text
    "\ud800-\udfff"  # halves of a pair
)
_FORBIDDEN_IN_LINE = re.compile(f"[\t\n{_HIDDEN}]")
_FORBIDDEN_IN_TEXT = re.compile(f"[{_HIDDEN}]")
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,75}\?[bq]\?", re.IGNORECASE)  # RFC 2047, section 2


class BadText(ValueError):
    """The text can't be taken. `reason` is a word of `services.shared.reasons`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def plain(text: str, longest: int, *, lines: bool = False) -> str:
    """The text without blanks around it. Raises `BadText`.

    `longest` counts characters; `lines` allows more than one line.
    """
    if lines:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.strip(" \t\n\u3000\xa0")
    if len(text) > longest:
        raise BadText("too_long")
    forbidden = _FORBIDDEN_IN_TEXT if lines else _FORBIDDEN_IN_LINE
    if not text.isascii() or not text.isprintable():
        if forbidden.search(text):
            raise BadText("forbidden_characters")
        text = unicodedata.normalize("NFC", text)
    if "=?" in text and _ENCODED_WORD.search(text):
        raise BadText("forbidden_characters")
    return text

"""HTML parts: a strict reader that refuses what a mail should not hold and knows where holes stand.

It reads in one pass without going back, so that no text makes it slow. Only text, quoted attributes and
the places where branches meet are allowed to hold marks; whatever value is written there, escaped, stays text.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.push.templates import marks
from services.push.templates.addresses import LineAt, check_web
from services.push.templates.syntax import Faulty

_REFUSED = frozenset(
    [
        "script",
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "portal",
        "base",
        "form",
        "input",
        "button",
        "select",
        "textarea",
        "svg",
        "math",
        "xmp",
        "plaintext",
        "noembed",
        "noframes",
        "noscript",
        "template",
        "audio",
        "video",
    ]
)
_VOID = frozenset(["area", "br", "col", "hr", "img", "link", "meta", "source", "track", "wbr"])
_CLOSED_BY_ITSELF = frozenset(
    [
        "html",
        "head",
        "body",
        "p",
        "li",
        "dt",
        "dd",
        "tr",
        "td",
        "th",
        "thead",
        "tbody",
        "tfoot",
        "colgroup",
        "option",
    ]
)
_ADDRESSES = frozenset(("href", "src", "background", "poster", "cite", "longdesc", "data"))
_RAW = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("style", "title")}

_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]*)")
_ATTRIBUTE = re.compile(
    r"""[\s/]*([^\s"'<>/=\ufdd0-\ufdd2]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'=<>`]+))?"""
)
_END = re.compile(r"[\s/]*>")
_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Attribute:
    """One attribute: its value with entities resolved, and the span of the whole in the text."""

    name: str
    value: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True)
class Piece:
    """Text, a tag, a comment or the inside of a raw element, as a span of the source."""

    kind: str
    start: int
    end: int
    name: str = ""
    attributes: tuple[Attribute, ...] = field(default=())


def pieces(text: str, line_at: LineAt) -> Iterator[Piece]:
    """Cut HTML into pieces. Raises `Faulty` for what cannot be read."""
    at = 0
    while at < len(text):
        opened = text.find("<", at)
        if opened < 0:
            opened = len(text)
        if opened > at:
            yield Piece("text", at, opened)
        if opened == len(text):
            return
        found = _one(text, opened, line_at)
        yield found
        at = found.end
        if found.kind == "start" and found.name in _RAW:
            closing = _RAW[found.name].search(text, at)
            if closing is None:
                raise Faulty("broken_html", line_at(at), f"<{found.name}>")
            end = closing.start()
            if end > at:
                yield Piece("raw", at, end, found.name)
            at = end


def _one(text: str, at: int, line_at: LineAt) -> Piece:
    """The piece that begins with the `<` at a place."""
    if text.startswith("<!--", at):
        return Piece("comment", at, _after(text, "-->", at + 4, at, line_at))
    if text[at : at + 9].lower() == "<!doctype":
        return Piece("doctype", at, _after(text, ">", at, at, line_at))
    tag = _TAG.match(text, at)
    if tag is None:
        following = text[at + 1 : at + 2]
        if following.isspace() or following.isdigit() or following in ("=", "<"):
            return Piece("text", at, at + 1)
        raise Faulty("broken_html", line_at(at), "<")
    name = tag[1].lower()
    attributes, end = _attributes(text, tag.end(), line_at)
    if text[at + 1] == "/":
        if attributes:
            raise Faulty("broken_html", line_at(at), f"</{name}>")
        return Piece("end", at, end, name)
    return Piece("start", at, end, name, attributes)


def _after(text: str, wanted: str, at: int, opened: int, line_at: LineAt) -> int:
    found = text.find(wanted, at)
    if found < 0:
        raise Faulty("broken_html", line_at(opened), text[opened : opened + 4])
    return found + len(wanted)


def _attributes(text: str, at: int, line_at: LineAt) -> tuple[tuple[Attribute, ...], int]:
    found: list[Attribute] = []
    seen: set[str] = set()
    start = at
    while True:
        end = _END.match(text, at)
        if end:
            return tuple(found), end.end()
        match = _ATTRIBUTE.match(text, at)
        if match is None or (match.start(1) == at and at != start and not _gap(text, at)):
            raise Faulty(_what_stands(text, at), line_at(at))
        name, raw = match[1].lower(), match[2] or ""
        if name in seen:
            raise Faulty("broken_html", line_at(at), name)
        seen.add(name)
        quoted = raw[:1] in ("'", '"')
        value = html.unescape(raw[1:-1] if quoted else raw)
        found.append(Attribute(name, value, match.start(1), match.end(), quoted))
        at = match.end()


def _what_stands(text: str, at: int) -> str:
    """The reason why a tag can't go on at a place."""
    following = text[at : at + 200].lstrip()[:1]
    if following == marks.EDGE:
        return "branch_in_markup"
    return "variable_in_markup" if following == marks.OPEN else "broken_html"


def _gap(text: str, at: int) -> bool:
    """Whether a space parts two attributes; browsers are lenient, we need not be."""
    return bool(_SPACE.match(text, at - 1)) or text[at - 1] == "/"


class Reader:
    """Checks pieces as they come: elements, nesting, and where marks stand."""

    def __init__(self, text: str, line_at: LineAt) -> None:
        self._text = text
        self._line_at = line_at
        self._open: list[str] = []

    def read(self) -> list[Piece]:
        """All pieces. Raises `Faulty`."""
        found = []
        for piece in pieces(self._text, self._line_at):
            self._check(piece)
            found.append(piece)
        left = [name for name in self._open if name not in _CLOSED_BY_ITSELF]
        if left:
            raise Faulty("broken_html", None, f"<{left[-1]}>")
        return found

    def _check(self, piece: Piece) -> None:
        line = self._line_at(piece.start)
        inside = self._text[piece.start : piece.end]
        if piece.kind == "text":
            return
        if marks.EDGE in inside:
            raise Faulty("branch_in_markup", line)
        if piece.kind == "start":
            self._start(piece, line)
        elif piece.kind == "end":
            self._close(piece.name, line)
        elif marks.OPEN in inside and piece.name != "title":
            raise Faulty("variable_in_markup", line)

    def _start(self, piece: Piece, line: int | None) -> None:
        if piece.name in _REFUSED:
            raise Faulty("element_not_allowed", line, f"<{piece.name}>")
        for attribute in piece.attributes:
            self._attribute(piece.name, attribute, line)
        if piece.name not in _VOID:
            if len(self._open) >= 200:
                raise Faulty("too_complex", line)
            self._open.append(piece.name)

    def _attribute(self, element: str, attribute: Attribute, line: int | None) -> None:
        name, value = attribute.name, attribute.value
        if name.startswith("on") or name in ("srcdoc", "formaction", "xlink:href", "ping"):
            raise Faulty("element_not_allowed", line, name)
        if element == "meta" and name == "http-equiv" and value.strip().lower() == "refresh":
            raise Faulty("element_not_allowed", line, "refresh")
        if name in _ADDRESSES:
            check_address(element, attribute, line)
        elif marks.OPEN in value and (not attribute.quoted or name in ("style", "srcset")):
            raise Faulty("variable_in_markup", line, name)

    def _close(self, name: str, line: int | None) -> None:
        while self._open:
            last = self._open.pop()
            if last == name:
                return
            if last not in _CLOSED_BY_ITSELF:
                raise Faulty("broken_html", line, f"<{last}> </{name}>")
        if name not in ("p", "br"):
            raise Faulty("broken_html", line, f"</{name}>")


def check_address(element: str, attribute: Attribute, line: int | None) -> None:
    """Whether an attribute's address may stand in a mail. Raises `Faulty`."""
    value = attribute.value.strip()
    scheme = value.partition(":")[0].lower()
    if attribute.name == "href" and element in ("a", "area"):
        if value == marks.LEAVE and attribute.quoted:
            return
        if marks.OPEN in value:
            raise Faulty("personal_link", line)
        if value.startswith("#") or scheme in ("mailto", "tel", "sms"):
            return
    elif scheme == "cid" or value.lower().startswith("data:image/"):
        if marks.OPEN in value:
            raise Faulty("personal_link", line)
        return
    check_web(value, line)

"""What is done to an HTML part: links become tracked, the pixel and the way to unsubscribe are put in."""

import html
import re

from services.push.templates import marks
from services.push.templates.addresses import LineAt, Targets, check_web
from services.push.templates.markup import Piece, Reader, pieces

_FOOTERS = {
    "zh-CN": ("您收到此邮件，是因为您同意接收我们的消息。", "退订"),
    "en": ("You get this mail because you agreed to hear from us.", "Unsubscribe"),
}
_BLOCKS = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "blockquote",
        "section",
        "article",
        "header",
        "footer",
    ]
)
_SILENT = frozenset(("style", "title", "head"))
_BLANKS = re.compile(r"[ \t\r\n\f]+")


def read(text: str, line_at: LineAt) -> list[Piece]:
    """Check an HTML part and cut it into pieces. Raises `Faulty`."""
    return Reader(text, line_at).read()


def track(text: str, targets: Targets, line_at: LineAt) -> str:
    """The part with the web links of `a` and `area` replaced by the marks of tracked links."""
    made: list[str] = []
    at = 0
    for piece in read(text, line_at):
        if piece.kind != "start" or piece.name not in ("a", "area"):
            continue
        for attribute in piece.attributes:
            if attribute.name != "href" or not _is_web(attribute.value):
                continue
            line = line_at(piece.start)
            target = check_web(attribute.value, line)
            made += [text[at : attribute.start], f'href="{targets.mark(target, line)}"']
            at = attribute.end
    return "".join(made) + text[at:]


def _is_web(value: str) -> bool:
    return value.strip().lower().startswith(("http://", "https://"))


def footer(language: str) -> str:
    """The way to unsubscribe that a marketing mail without one gets."""
    why, leave = _FOOTERS["zh-CN" if language.startswith("zh") else "en"]
    return (
        '<p style="margin:32px 0 0;padding-top:12px;border-top:1px solid #ddd;color:#666;'
        f'font-size:12px;line-height:1.6">{why} '
        f'<a href="{marks.LEAVE}" style="color:#666">{leave}</a></p>'
    )


def text_footer(language: str) -> str:
    """The same for a text part."""
    why, leave = _FOOTERS["zh-CN" if language.startswith("zh") else "en"]
    colon = "：" if language.startswith("zh") else ": "
    return f"\n\n-- \n{why}\n{leave}{colon}{marks.LEAVE}\n"


def pixel() -> str:
    """The image whose loading says that a mail was displayed."""
    return f'<img src="{marks.PIXEL}" width="1" height="1" alt="" style="display:block;border:0">'


def appended(text: str, addition: str) -> str:
    """The part with something more at the end of its body."""
    at = text.lower().rfind("</body")
    if at < 0:
        at = text.lower().rfind("</html")
    return text + addition if at < 0 else text[:at] + addition + text[at:]


def as_text(text: str, targets: tuple[str, ...]) -> str:
    """A text part made of a checked and tracked HTML part: blocks become lines, a link stands behind its words.

    Marks and edges stay where they are, so the result has the same shape.
    """
    made: list[str] = []
    silent = 0
    link: tuple[int, str] | None = None
    for piece in pieces(text, lambda _at: None):
        source = text[piece.start : piece.end]
        if piece.kind == "start" and piece.name in _SILENT:
            silent += 1
        elif piece.kind == "end" and piece.name in _SILENT:
            silent = max(0, silent - 1)
        elif piece.kind == "text":
            made.append(_words(source, silent > 0))
        elif piece.kind in ("start", "end") and not silent:
            if piece.name in _BLOCKS:
                made.append("\n")
            elif piece.name == "td" and piece.kind == "end":
                made.append(" ")
            link = _link(piece, link, made, targets)
    joined = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(made))
    return re.sub(r"\n{3,}", "\n\n", joined).strip(" \n") + "\n"


def _words(source: str, silent: bool) -> str:
    if silent:
        return marks.EDGE * source.count(marks.EDGE)
    return html.unescape(_BLANKS.sub(" ", source))


def _link(
    piece: Piece, link: tuple[int, str] | None, made: list[str], targets: tuple[str, ...]
) -> tuple[int, str] | None:
    """Remember a link's mark at its start, write it behind its words at its end."""
    if piece.name != "a":
        return link
    if piece.kind == "start":
        address = next((a.value for a in piece.attributes if a.name == "href"), "")
        return (len(made), address) if address.startswith(marks.OPEN) else None
    if link is not None:
        start, address = link
        words = "".join(made[start:]).strip()
        if words in targets:
            made[start:] = [address]
        else:
            made.append(f" ({address})")
    return None

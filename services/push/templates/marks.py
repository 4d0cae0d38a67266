"""Marks: what stands in a template's text, while it is compiled, for a hole or the edge of a branch.

They are made of Unicode noncharacters, which no template and no value may hold.
"""

import re

from services.push.channels.base import Segments, Slot

OPEN, CLOSE = "\ufdd0", "\ufdd1"
EDGE = "\ufdd2"
"""Stands between two runs of text: a branch begins or ends here."""

PIXEL = f"{OPEN}o{CLOSE}"
LEAVE = f"{OPEN}u{CLOSE}"
"""The hole for the unsubscribe address."""

MARK = re.compile(f"{OPEN}([elou])([0-9]*){CLOSE}")


def expression(number: int) -> str:
    """The mark of a template's expression by number."""
    return f"{OPEN}e{number}{CLOSE}"


def link(number: int) -> str:
    """The mark of a tracked link by number."""
    return f"{OPEN}l{number}{CLOSE}"


def segments(text: str, names: dict[int, str], escape: str) -> Segments:
    """Marked text as literals and slots; `names` are the slot names of the expressions."""
    parts: list[str | Slot] = []
    at = 0
    for found in MARK.finditer(text):
        if found.start() > at:
            parts.append(text[at : found.start()])
        parts.append(Slot(_slot_name(found, names), "html" if escape == "html" else "text"))
        at = found.end()
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def _slot_name(found: re.Match[str], names: dict[int, str]) -> str:
    kind, number = found.groups()
    if kind == "e":
        return names[int(number)]
    if kind == "l":
        return f"link:{number}"
    return "open" if kind == "o" else "unsubscribe"


def expressions_in(text: str) -> list[int]:
    """The numbers of the expressions that stand in marked text, each once."""
    return list(dict.fromkeys(int(n) for kind, n in MARK.findall(text) if kind == "e"))

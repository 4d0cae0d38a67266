"""The messages that push knows by itself: the bait mail, and the notice of a new lead to staff.

Short, friendly, in both languages. No text of a visitor is in them: a title, a link and the company's
name are the operator's own.
"""

import html
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlmodel import Session

from services.push.channels.base import Content, Segments, SenderIdentity, Slot
from services.push.deliveries.material import (
    ContentMissing,
    ContentSource,
    Material,
    MaterialKey,
    Piece,
    slots_of,
)

BAIT_MAIL = "bait_mail"
LEAD_NOTICE = "lead_notice"
BUILT_IN = (BAIT_MAIL, LEAD_NOTICE)

# subject, body, what stands on the button, foot; in the text part the link stands where the button is
_TEXTS: dict[str, dict[str, tuple[str, str, str, str]]] = {
    BAIT_MAIL: {
        "zh-CN": (
            "《{bait_title}》在这里",
            "您好，\n\n您在{sender}索取的《{bait_title}》已为您备好，由此打开：",
            "打开资料",
            "如果这不是您本人的操作，请忽略本邮件，不会再有后续。",
        ),
        "en": (
            "Here it is: {bait_title}",
            "Hello,\n\nwhat you asked {sender} for, “{bait_title}”, is ready. Open it here:",
            "Open it",
            "If it was not you who asked for this, ignore this mail: nothing else will follow.",
        ),
    },
    LEAD_NOTICE: {
        "zh-CN": (
            "《{bait_title}》有 {count} 条新线索",
            "您好，\n\n有人刚刚留下了联系方式：\n\n{list}\n\n登录后即可查看：",
            "查看人员",
            "五分钟内的线索会合并为一封邮件。",
        ),
        "en": (
            "{count} new for {bait_title}",
            "Hello,\n\nsomebody has just left a contact:\n\n{list}\n\nLog in to see who it is:",
            "See the people",
            "What comes within five minutes is told in one mail.",
        ),
    },
}
_NAMES = {
    BAIT_MAIL: ("bait_title", "link", "sender"),
    LEAD_NOTICE: ("bait_title", "link", "count", "list"),
}
_STYLE = "font:16px/1.6 -apple-system,'PingFang SC','Microsoft YaHei',sans-serif;color:#1f2933"
_BUTTON = (
    "display:inline-block;padding:12px 28px;border-radius:8px;background:#0b6e4f;color:#ffffff;"
    "text-decoration:none;font-weight:600"
)


def _segments(text: str, escape: str) -> Segments:
    """A text with {names} as segments with slots."""
    segments: list[str | Slot] = []
    rest = text
    while rest:
        before, opened, after = rest.partition("{")
        if before:
            segments.append(before)
        if not opened:
            break
        name, _, rest = after.partition("}")
        segments.append(Slot(f"var:{name}", "html" if escape == "html" else "text"))
    return tuple(segments)


@cache
def content(name: str, language: str) -> Content:
    """The content of one of push's own messages; English for whoever does not read Chinese."""
    picked = "zh-CN" if language.lower().startswith("zh") else "en"
    subject, body, button, foot = _TEXTS[name][picked]
    colon = "：" if picked == "zh-CN" else ": "
    text = f"{body}\n\n{button}{colon}{{link}}\n\n--\n{foot}\n"
    paragraphs = "".join(
        f'<p style="white-space:pre-line">{html.escape(part, quote=False)}</p>'
        for part in body.split("\n\n")
    )
    drawn = (
        f'<!doctype html><html lang="{picked}"><body style="margin:0;padding:24px;background:#f5f7f9">'
        f'<div style="max-width:560px;margin:0 auto;padding:28px;background:#ffffff;border-radius:12px;'
        f'{_STYLE}">{paragraphs}<p style="margin:28px 0"><a href="{{link}}" style="{_BUTTON}">'
        f'{button}</a></p><p style="font-size:13px;color:#667785">{foot}</p></div></body></html>'
    )
    return Content(
        _segments(subject, "text"),
        _segments(text, "text"),
        _segments(drawn, "html"),
        picked,
        f"{name}:{picked}:2",
    )


class BuiltIn:
    """One of push's own messages as a material."""

    def __init__(self, name: str, language: str, own: SenderIdentity | None) -> None:
        self._content = content(name, language)
        self._names = _NAMES[name]
        self._slots = slots_of(self._content)
        self._own = own

    def for_person(self, given: Mapping[str, Any], _fields: Mapping[str, Any]) -> Piece:
        values: dict[str, str] = {}
        for name in self._names:
            value = given.get(name)
            if value is None and name == "sender":
                value = self._own.name if self._own else None
            if value is None:
                raise ContentMissing("value_missing", name)
            values[f"var:{name}"] = str(value)
        return Piece(self._content, self._slots, values)


class AllContents:
    """Push's own messages, and the operator's templates behind them."""

    def __init__(self, templates: ContentSource | None, own: SenderIdentity | None) -> None:
        self._templates = templates
        self._own = own

    def load(
        self, session: Session, keys: Collection[MaterialKey]
    ) -> Mapping[MaterialKey, Material]:
        found: dict[MaterialKey, Material] = {
            key: BuiltIn(key.version, key.language, self._own)
            for key in keys
            if isinstance(key.version, str) and key.version in BUILT_IN
        }
        if self._templates is not None:
            found |= self._templates.load(session, [key for key in keys if key not in found])
        return found

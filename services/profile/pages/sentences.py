"""What happened, as sentences for people, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.profile.people.schemas import TimelineItem

CHANNELS: dict[str, tuple[str, str]] = {
    "email": ("邮箱", "E-mail"),
    "phone": ("电话", "Phone"),
    "wechat": ("微信", "WeChat"),
    "wechat_id": ("微信号", "WeChat id"),
    "qq": ("QQ", "QQ"),
    "qq_bot": ("QQ 机器人", "QQ bot"),
    "webhook": ("Webhook", "Webhook"),
}

PURPOSES: dict[str, tuple[str, str]] = {"marketing": ("营销信息", "Marketing")}

_WAYS: dict[str, tuple[str, str]] = {
    "page": ("托管页面", "the hosted page"),
    "form": ("网站表单", "a form on a website"),
    "script": ("嵌入脚本", "an embedded form"),
    "api": ("接口", "the API"),
    "import": ("导入", "an import"),
}

_MESSAGES: dict[str, tuple[str, str]] = {
    "lead": ("资料邮件", "The bait message"),
    "campaign": ("推送消息", "A campaign message"),
    "journey": ("旅程消息", "A journey message"),
    "api": ("接口消息", "A message asked for by API"),
}

_OUTCOMES: dict[str, tuple[str, str, str, str]] = {
    "push.sent": ("sent", "", "已发出", "was sent"),
    "push.failed": ("cross", "bad", "发送失败", "was refused for good"),
    "push.held": ("clock", "warn", "暂缓发送", "is held"),
    "push.dropped": ("cross", "warn", "未发送", "was not sent"),
    "push.unknown": ("question", "warn", "发送结果不明", "may or may not have been sent"),
    "push.delivered": ("check", "good", "已送达", "was delivered"),
    "push.bounced": ("cross", "bad", "被退回", "came back"),
    "push.complained": ("cross", "bad", "被标为垃圾邮件", "was called spam"),
}

_PLAIN: dict[str, tuple[str, str, str, str]] = {
    "lead.verified": (
        "check",
        "good",
        "确认联系方式属于本人",
        "Confirmed that the contact is theirs",
    ),
    "engagement.displayed": ("eye", "", "看到了消息", "Saw a message"),
    "engagement.clicked": ("cursor", "good", "点击了链接", "Followed a link"),
    "engagement.unsubscribed": (
        "leave",
        "bad",
        "退订，不再接收营销信息",
        "Unsubscribed: no more marketing",
    ),
}


@dataclass(frozen=True)
class Sentence:
    """An entry as it is shown: an icon's name, a tone (a class), (zh-CN, en), and small words behind it."""

    icon: str
    tone: str
    text: tuple[str, str]
    notes: tuple[str, ...] = ()


def sentence(item: TimelineItem, baits: Mapping[str, str]) -> Sentence:
    """What an entry says. `baits` are slugs by bait id."""
    details, kind = item.details, item.kind
    bait = details.get("bait") or baits.get(str(details.get("bait_id")), "")
    if kind == "lead.submitted":
        return _lead(details, bait)
    if kind == "lead.opened":
        zh, en = (f"打开了「{bait}」的资料", f"Opened the resource of “{bait}”")
        if not bait:
            zh, en = "打开了资料", "Opened the resource"
        return Sentence("file", "good", (zh, en))
    if kind in _OUTCOMES:
        return _outcome(kind, details)
    if kind in ("consent.given", "consent.withdrawn"):
        return _consent(kind, details)
    if kind == "engagement.inquired":
        return Sentence(
            "question",
            "good",
            ("提出了咨询", "Asked about something"),
            _words(details, "subject", "source"),
        )
    if kind == "engagement.converted":
        return _order(details)
    icon, tone, zh, en = _PLAIN.get(kind, ("clock", "", kind, kind))
    return Sentence(icon, tone, (zh, en), _words(details, "url"))


def _lead(details: Mapping[str, Any], bait: str) -> Sentence:
    way = _WAYS.get(str(details.get("way")), ("", ""))
    text = (
        f"通过{way[0]}索取「{bait}」，留下了联系方式",
        f"Left a contact for “{bait}” through {way[1] or 'a form'}",
    )
    return Sentence("form", "", text, _words(details, "utm_source", "utm_campaign", "referrer"))


def _outcome(kind: str, details: Mapping[str, Any]) -> Sentence:
    icon, tone, zh, en = _OUTCOMES[kind]
    message = _MESSAGES.get(str(details.get("cause")), ("消息", "A message"))
    channel = CHANNELS.get(str(details.get("channel")), ("", ""))
    text = (f"{message[0]}（{channel[0]}）{zh}", f"{message[1]} ({channel[1]}) {en}")
    if not channel[0]:
        text = (f"{message[0]}{zh}", f"{message[1]} {en}")
    # what a provider says to a message that it takes ("250") tells a reader nothing
    told = ("reason",) if kind == "push.sent" else ("reason", "code")
    return Sentence(icon, tone, text, _words(details, *told))


def _consent(kind: str, details: Mapping[str, Any]) -> Sentence:
    name = str(details.get("purpose"))
    purpose = PURPOSES.get(name, (name, name))
    channel = CHANNELS.get(str(details.get("channel")), ("", ""))
    given = kind == "consent.given"
    said = "agreed to" if given else "withdrawn"
    text = (
        f"操作员登记：{'同意' if given else '撤回'}{purpose[0]}（{channel[0]}）",
        f"An operator recorded: {purpose[1].lower()} by {channel[1].lower()} {said}",
    )
    tone = "good" if given else "bad"
    return Sentence(
        "check" if given else "leave", tone, text, _words(details, "provenance", "recorded_by")
    )


def _order(details: Mapping[str, Any]) -> Sentence:
    refunded = details.get("state") == "refunded"
    number = str(details.get("order_id", ""))
    text = (
        f"订单 {number} {'已退款' if refunded else '成交'}",
        f"Order {number} was {'refunded' if refunded else 'paid'}",
    )
    return Sentence("cart", "warn" if refunded else "good", text, _words(details, "source"))


def _words(details: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    return tuple(str(details[name]) for name in names if details.get(name))

"""What the states and reasons of a campaign's deliveries mean, in plain sentences."""

from typing import Literal

Tone = Literal["good", "wait", "left", "bad"]
"""Whether it went well, still waits, was rightly left out, or went wrong."""

TONES: dict[str, Tone] = {
    "sent": "good",
    "delivered": "good",
    "planned": "wait",
    "held": "wait",
    "claimed": "wait",
    "sending": "wait",
    "dropped": "left",
    "failed": "bad",
    "unknown": "bad",
    "bounced": "bad",
    "complained": "bad",
}

_STATES: dict[str, tuple[str, str]] = {
    "sent": ("已发出，对方服务器已接收。", "Sent: the provider took the message."),
    "delivered": ("已送达。", "Delivered."),
    "planned": ("已安排，等待发送。", "Planned, waiting for its turn."),
    "held": ("暂缓发送。", "Held for now."),
    "claimed": ("正在发送。", "On its way out."),
    "sending": ("正在发送。", "On its way out."),
    "dropped": ("没有发送。", "Not sent."),
    "failed": ("发送失败，不再重试。", "Failed for good."),
    "unknown": (
        "无法确定是否已发出，不会自动重发。",
        "Nobody can say whether it went out; it is not sent again by itself.",
    ),
    "bounced": ("被退回。", "Came back."),
    "complained": ("被收件人标为垃圾邮件。", "The person called it spam."),
}

_REASONS: dict[str, tuple[str, str]] = {
    "no_consent": (
        "没有同意接收营销消息，因此没有发送。",
        "They did not agree to marketing, so nothing was sent.",
    ),
    "not_verified": (
        "联系方式尚未验证，因此没有发送。",
        "The contact is not verified yet, so nothing was sent.",
    ),
    "unsubscribed": ("已经退订，因此没有发送。", "They unsubscribed, so nothing was sent."),
    "erased": ("已要求删除个人数据。", "They asked for their data to be erased."),
    "hard_bounce": (
        "地址不存在，此前已被退回。",
        "The address does not exist: earlier mail came back.",
    ),
    "soft_bounces": ("多次投递失败，已停止发送。", "Too many deliveries failed, so we stopped."),
    "complaint": ("曾投诉为垃圾邮件。", "They once called our mail spam."),
    "blocked": ("在屏蔽名单上。", "They are on the block list."),
    "contact_gone": ("联系方式已不存在。", "The contact is no longer there."),
    "quiet_hours": (
        "对方处于免打扰时段，结束后发送。",
        "It is night where they are; it goes out afterwards.",
    ),
    "priority": ("有更重要的消息先发给此人。", "Something more important goes to them first."),
    "cap_day": (
        "今天的消息已达上限，明天再发。",
        "They had enough messages today; it waits for tomorrow.",
    ),
    "cap_week": (
        "本周的消息已达上限，下周再发。",
        "They had enough messages this week; it waits for the next.",
    ),
    "mail_limit": ("为防滥用，暂不再发给此地址。", "The limit against mail bombing holds it back."),
    "expired": ("活动已到截止时间，没有发送。", "The campaign's time was over."),
    "campaign_paused": ("活动已暂停，等待继续。", "The campaign is paused."),
    "campaign_resumed": ("活动已继续，等待发送。", "The campaign goes on; waiting for its turn."),
    "campaign_cancelled": ("活动已取消或结束，没有发送。", "The campaign was cancelled or over."),
    "configuration": (
        "发送渠道的设置有误，活动已暂停。",
        "Our channel is set up wrong; the campaign paused.",
    ),
    "content_missing": ("暂时取不到内容。", "The content can't be had for now."),
    "skipped": (
        "缺少此人的变量值，无法生成内容。",
        "A value for this person is missing from the content.",
    ),
    "rate_limited": ("对方服务器要求放慢，稍后重试。", "The provider asked us to slow down."),
    "retry": ("暂时失败，稍后重试。", "It failed for the moment and is tried again."),
    "gave_up": ("多次重试后放弃。", "Given up after many tries."),
    "permanent_recipient": (
        "对方服务器永久拒绝此地址。",
        "The provider refused this address for good.",
    ),
    "soft": ("对方服务器暂时拒收（如邮箱已满）。", "Refused for now, such as a full mailbox."),
    "ambiguous": (
        "发送中断，无法确定结果。",
        "The connection broke; nobody can say what became of it.",
    ),
    "lease_expired": (
        "发送进程中断，无法确定结果。",
        "The sender died; nobody can say what became of it.",
    ),
    "not_sent": ("已安排，等待发送。", "Planned, waiting for its turn."),
    # members that got no delivery
    "no_contact": ("没有此渠道的联系方式。", "They have no contact on this channel."),
    "shared_contact": (
        "与另一成员共用同一联系方式，只发一次。",
        "They share a contact with another member: one message is enough.",
    ),
    "merged": ("与另一成员是同一个人，只发一次。", "The same person as another member."),
    "not_known": ("资料尚未同步到发送服务。", "Not known to the sending service yet."),
    # why a campaign paused by itself
    "segment_missing": ("所选人群已不存在。", "The segment is no longer there."),
    "segment_changes": ("人群正在变化，会再次核对。", "The segment changes; it is walked again."),
    "members_unavailable": (
        "暂时取不到人群成员，会自动重试。",
        "The members can't be had for now; tried again.",
    ),
    "campaign_ended": ("已到截止时间。", "Its time is over."),
}


def explained(state: str, reason: str | None) -> tuple[str, str]:
    """(zh-CN, en): what a state with its reason means."""
    if reason is None:
        return _STATES.get(state, (state, state))
    if state == "dropped" and reason in ("quiet_hours", "cap_day", "cap_week", "priority"):
        chinese, english = _NEVER[reason]
        return f"{chinese}，活动截止前没能发送。", f"{english} until the campaign was over."
    return _REASONS.get(reason, (reason, reason))


_NEVER: dict[str, tuple[str, str]] = {
    "quiet_hours": ("一直处于免打扰时段", "It was night where they are"),
    "cap_day": ("当天消息已达上限", "They had enough messages that day"),
    "cap_week": ("当周消息已达上限", "They had enough messages that week"),
    "priority": ("更重要的消息优先", "Something more important went first"),
}


def why(reason: str | None) -> tuple[str, str] | None:
    """(zh-CN, en): why a campaign is in its state, when there is more to say; a provider's code as it is."""
    if reason is None:
        return None
    return _REASONS.get(reason, (f"渠道返回：{reason}", f"The channel says: {reason}"))

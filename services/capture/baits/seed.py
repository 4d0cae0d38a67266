"""The sample bait of a fresh installation."""

import asyncio
from typing import Any

from sqlmodel import Session

from services.capture.baits import repository
from services.capture.baits.models import Bait
from services.capture.baits.schemas import BaitDocument
from services.capture.settings import CaptureSettings
from services.shared.errors import DatabaseUnavailable
from services.shared.ground import Ground
from services.shared.ids import derived

WELCOME: dict[str, Any] = {
    "slug": "welcome",
    "title": "三分钟看懂 Baitwell · Baitwell in three minutes",
    "description": (
        "留下一个联系方式，马上收到这份小指南：怎样用一件对方真正想要的东西，换来一次愿意的联系。"
        "这是随安装附带的示例，可以随意修改或停用。\n"
        "Leave one contact and get this short guide: how something that people really want brings a contact "
        "that they are glad to give. It is a sample: change it or switch it off."
    ),
    "language": "zh-CN",
    "contacts": ["email", "phone"],
    "fields": [{"name": "name", "label": "怎么称呼您 · Your name", "type": "text", "longest": 60}],
    "tags": ["welcome"],
    "resource": {
        "kind": "text",
        "text": (
            "三分钟看懂 Baitwell\n\n"
            "1. 给出别人想要的东西：一份报告、一张价目表、一张优惠券。\n"
            "2. 只问一项联系方式，越简单越好。\n"
            "3. 把东西送到留下的联系方式，由本人点一下确认。\n"
            "4. 只向同意的人推送，在合适的时间，用合适的渠道。\n"
            "5. 看清结果：展示、点击、咨询、成交，再改进下一次。\n\n"
            "Baitwell in three minutes\n\n"
            "1. Offer what people want: a report, a price list, a coupon.\n"
            "2. Ask for one contact. The simpler, the better.\n"
            "3. Send it to the contact that was left; one click of theirs confirms it.\n"
            "4. Push only to those who agreed, at the right time, over the right channel.\n"
            "5. See what came of it: displayed, clicked, inquired, converted. Do better next time.\n\n"
            "您的体验码 · Your code: WELCOME-2026"
        ),
    },
    "consents": [
        {
            "purpose": "marketing",
            "channel": "email",
            "text": "我愿意通过邮件收到后续的内容和优惠，可随时一键退订。 · Send me more by e-mail; I can leave with one click.",
            "version": "2026-11",
        },
        {
            "purpose": "marketing",
            "channel": "phone",
            "text": "我愿意通过短信收到后续的内容和优惠，可随时退订。 · Send me more by text message; I can leave at any time.",
            "version": "2026-11",
        },
    ],
    "sender": "Baitwell",
    "others_on_page": True,
}
"""The sample bait of a fresh installation. One bait has one language; the sample speaks to visitors of both."""


class Seed:
    """Makes the bait `welcome` where there never was a bait; several processes may try at once."""

    def __init__(self, ground: Ground[CaptureSettings]) -> None:
        self._ground = ground

    async def run(self, stop: asyncio.Event) -> None:
        """Seed, however long the database is away, then rest."""
        while not stop.is_set():
            try:
                await self.sow()
            except DatabaseUnavailable:
                await self._ground.clock.wait(stop, 1.0)
            else:
                await stop.wait()

    async def sow(self) -> None:
        """Make the sample once. The same id in every process."""
        await self._ground.database.transaction(self._sow)

    def _sow(self, session: Session) -> None:
        if not repository.is_empty(session):
            return
        slug = WELCOME["slug"]
        document = BaitDocument.model_validate({k: v for k, v in WELCOME.items() if k != "slug"})
        repository.declare_types(
            session, {declared.name: declared.type for declared in document.fields}
        )
        now = self._ground.clock.now()
        bait = Bait(id=derived("bait", slug), slug=slug, version=1, created_at=now, changed_at=now)
        repository.add(session, bait, document.model_dump(mode="json"))

"""The company of the demonstration: its baits, its segment, its two campaigns, its shop."""

from typing import Any

import httpx

ENGLISH_BAIT = "buyers-guide"
CHINESE_BAITS = ("price-list", "spring-coupon")
BAITS = [ENGLISH_BAIT, *CHINESE_BAITS]

_CONSENT = {
    "en": "Send me news and offers by e-mail. I can leave at any time.",
    "zh-CN": "我同意通过邮件接收新品与优惠信息，可随时退订。",
}


class DemoFailed(Exception):
    """The system did not answer as its documents say."""


def _bait(slug: str, language: str, title: str, description: str, **more: Any) -> dict[str, Any]:
    consent = {"purpose": "marketing", "channel": "email", "version": "2026-1"}
    return {
        "slug": slug,
        "language": language,
        "title": title,
        "description": description,
        "consents": [{**consent, "text": _CONSENT[language]}],
        "fields": [
            {"name": "name", "label": "Name" if language == "en" else "称呼"},
            {"name": "city", "label": "City" if language == "en" else "城市"},
        ],
        **more,
    }


_BAITS = [
    _bait(
        ENGLISH_BAIT,
        "en",
        "The small buyer's guide to tea",
        "Twelve pages: what to ask a grower, what to taste for, what it should cost.",
        tags=["guide"],
        resource={"kind": "url", "url": "https://tea.example/guide.pdf"},
    ),
    _bait(
        CHINESE_BAITS[0],
        "zh-CN",
        "2026 春茶批发价目表",
        "三十二款春茶的产地、等级与批发价，一页看完。",
        tags=["批发"],
        resource={"kind": "text", "text": "龙井 380，碧螺春 420，安吉白茶 360（元/斤，十斤起）。"},
    ),
    _bait(
        CHINESE_BAITS[1],
        "zh-CN",
        "新客立减 30 元券",
        "留下邮箱，优惠码马上寄出。",
        tags=["优惠"],
        release="at_once",
        resource={"kind": "text", "text": "优惠码 TEA30，满 199 可用。"},
    ),
]

_NEWS = {
    "name": "Spring tea / 春茶上新",
    "channel": "email",
    "kind": "marketing",
    "default_language": "zh-CN",
    "variables": [
        {"name": "name", "type": "text", "field": "name", "default": "friend"},
    ],
    "contents": {
        "zh-CN": {
            "subject": "{{ name }}，春茶上新了",
            "text": "{{ name }}，您好！\n\n头采龙井已到仓，看看今年的样子：\nhttps://tea.example/spring\n\n茶农手记：https://tea.example/story\n",
            "html": '<p>{{ name }}，您好！</p><p>头采龙井已到仓，<a href="https://tea.example/spring">看看今年的样子</a>。</p><p><a href="https://tea.example/story">茶农手记</a></p>',
        },
        "en": {
            "subject": "{{ name }}, the spring tea is here",
            "text": "Hello {{ name }},\n\nthe first picking has arrived: https://tea.example/spring\n\nA grower's diary: https://tea.example/story\n",
            "html": '<p>Hello {{ name }},</p><p>the first picking <a href="https://tea.example/spring">has arrived</a>.</p><p><a href="https://tea.example/story">A grower\'s diary</a></p>',
        },
    },
}

_THANKS = {
    **_NEWS,
    "name": "A tasting / 品鉴会",
    "contents": {
        "zh-CN": {
            "subject": "周末品鉴会，给{{ name }}留了座",
            "text": "{{ name }}，周日下午两点，来喝一杯：https://tea.example/tasting\n",
            "html": '<p>{{ name }}，周日下午两点，<a href="https://tea.example/tasting">来喝一杯</a>。</p>',
        },
        "en": {
            "subject": "A seat for you, {{ name }}",
            "text": "Hello {{ name }}, our tasting is on Sunday at two: https://tea.example/tasting\n",
            "html": '<p>Hello {{ name }}, our tasting is <a href="https://tea.example/tasting">on Sunday at two</a>.</p>',
        },
    },
}


class Company:
    """Acts with an admin key, through the public API."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.campaigns: list[str] = []

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON of an answer. Raises `DemoFailed` for anything but 2xx."""
        answer = await self._client.request(method, path, json=body, headers=headers)
        if not answer.is_success:
            raise DemoFailed(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    async def open_shop(self) -> None:
        """Make the baits, the segment and the templates."""
        for bait in _BAITS:
            await self.call("POST", "/v1/baits", bait)
        rule = {
            "all": [
                {"consent": "marketing", "channel": "email"},
                {"contact": "email", "verified": True},
            ]
        }
        segment = await self.call("POST", "/v1/segments", {"name": "Readers / 读者", "rule": rule})
        self._segment = segment["id"]
        self._templates = [
            (await self.call("POST", "/v1/templates", template))["id"]
            for template in (_NEWS, _THANKS)
        ]

    async def send(self, number: int) -> None:
        """Start campaign 0 or 1 now."""
        template = (_NEWS, _THANKS)[number]
        made = await self.call(
            "POST",
            "/v1/campaigns",
            {
                "name": template["name"],
                "segment_id": self._segment,
                "template_id": self._templates[number],
                "channel": "email",
            },
        )
        await self.call("POST", f"/v1/campaigns/{made['id']}/start")
        self.campaigns.append(made["id"])

    async def campaign_done(self) -> bool:
        """Whether the newest campaign has nothing left to do."""
        found = await self.call("GET", f"/v1/campaigns/{self.campaigns[-1]}")
        return bool(found["state"] == "done")

    async def asked(self, email: str, ticket: str) -> None:
        """The call centre reports an inquiry."""
        await self._report(email, {"kind": "inquired", "source": "hotline", "order_id": ticket})

    async def ordered(self, email: str, order: str, amount: int, *, state: str = "paid") -> None:
        """The shop reports an order, or that it was given back."""
        body = {"kind": "converted", "source": "shop", "order_id": order, "state": state}
        await self._report(email, {**body, "amount": amount, "currency": "CNY"})

    async def _report(self, email: str, body: dict[str, Any]) -> None:
        contact = {"channel": "email", "address": email}
        await self.call("POST", "/v1/engagements", {**body, "contact": contact})

    async def funnel(self, by: str) -> Any:
        """The funnel, by bait or by campaign."""
        return await self.call("GET", f"/v1/funnel?by={by}")

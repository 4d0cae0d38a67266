"""Texts that become scripts where they are not escaped.

Classes after the OWASP XSS prevention cheat sheet: element content, quoted attributes, raw text elements,
addresses, template languages.
"""

from typing import Any

import httpx

SHORT = "\"'><img src=x onerror=alert(1)>"
LONG = (
    "\"'></title></textarea></style></option><script>alert(1)</script>"
    "<img src=x onerror=alert(2)><svg onload=alert(3)>{{7*7}}"
)
FILE_NAME = '"><img src=x onerror=alert(1)>.html'
SLUG = "evil"


def bait() -> dict[str, Any]:
    """A bait of an operator who was told what to paste."""
    return {
        "slug": SLUG,
        "title": LONG,
        "description": LONG,
        "contacts": ["email", "qq"],
        "fields": [
            {"name": "name", "label": LONG, "lines": True},
            {
                "name": "kind",
                "label": LONG,
                "type": "choice",
                "choices": [{"value": f"{SHORT}{n}", "label": LONG} for n in range(8)],
            },
            {
                "name": "colours",
                "label": LONG,
                "type": "multi_choice",
                "choices": [{"value": SHORT, "label": LONG}],
            },
        ],
        "tags": [SHORT],
        "resource": {"kind": "text", "text": LONG},
        "consents": [{"purpose": "marketing", "channel": "email", "text": LONG, "version": "1"}],
        "release": "at_once",
        "others_on_page": True,
        "sender": SHORT,
    }


def lead(email: str) -> dict[str, Any]:
    """A visitor who tries every field."""
    return {
        "contact": {"email": email},
        "fields": {"name": LONG, "kind": f"{SHORT}1", "colours": [SHORT]},
        "consents": {"marketing.email": True},
        "source": {
            "utm_source": LONG,
            "utm_medium": LONG,
            "utm_campaign": LONG,
            "referrer": f"https://x.example/{SHORT}",
            "landing_page": "javascript:alert(1)",
        },
    }


def template() -> dict[str, Any]:
    """A template that shows what a visitor typed, wherever a template may."""
    return {
        "name": LONG[:100],
        "variables": [{"name": "name", "field": "name", "default": SHORT}],
        "contents": {
            "zh-CN": {
                "subject": "{{ name }}",
                "text": "{{ name }} https://shop.example/a",
                "html": '<p title="{{ name }}">{{ name }}</p><a href="https://shop.example/a">x</a>',
            }
        },
    }


def checked(answer: httpx.Response) -> Any:
    """The JSON of an answer that has to be a success."""
    assert answer.is_success, f"{answer.request.url.path}: {answer.status_code} {answer.text}"
    return answer.json()

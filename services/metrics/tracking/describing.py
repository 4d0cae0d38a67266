"""What the OpenAPI document says of the links in messages: they are hot routes, which FastAPI does not see."""

from typing import Any

from services.shared.web.openapi import HTML, page_operation

_TOKEN = ("token",)
_WRONG = (404,)
"""Whatever is wrong with a link, the answer is the same page."""


def with_links(document: dict[str, Any]) -> dict[str, Any]:
    """Add the links to the document."""
    document.setdefault("paths", {}).update(
        {
            "/c/{token}": {"get": _click()},
            "/o/{token}": {
                "get": page_operation(
                    "open_pixel",
                    "A message was drawn",
                    names=_TOKEN,
                    answers={200: ("A transparent picture. The open is kept.", "image/gif")},
                    refusals=(404, 422),
                    page_refusals=_WRONG,
                )
            },
            "/u/{token}": {
                "get": page_operation(
                    "ask_to_unsubscribe",
                    "Ask whether to leave",
                    names=_TOKEN,
                    answers={200: ("A page with one button. Nothing is changed.", HTML)},
                    refusals=(404, 422),
                    page_refusals=_WRONG,
                ),
                "post": _leave(),
            },
        }
    )
    return document


def _click() -> dict[str, Any]:
    operation = page_operation(
        "follow_link",
        "Follow a link of a message",
        names=_TOKEN,
        answers={302: ("To the address that was signed. The click is kept.", None)},
        refusals=(404, 422),
        page_refusals=_WRONG,
    )
    operation["parameters"].append(
        {
            "name": "u",
            "in": "query",
            "required": True,
            "description": "The target, http or https. The token's signature covers it.",
            "schema": {"type": "string"},
        }
    )
    return operation


def _leave() -> dict[str, Any]:
    operation = page_operation(
        "unsubscribe",
        "Leave",
        names=_TOKEN,
        answers={200: ("A page that says so. It is durable, and push was asked to stop.", HTML)},
        refusals=(404, 413, 422, 503),
        page_refusals=_WRONG,
        form=True,
    )
    operation["description"] = (
        "From the page's button, or in one click as RFC 8058 has it: `List-Unsubscribe=One-Click`."
    )
    return operation

"""What the OpenAPI document says of the pages that visitors meet: hot routes, which FastAPI does not see."""

from typing import Any

from services.shared.web.openapi import HTML, page_operation

_SLUG, _TOKEN = ("slug",), ("token",)
_FORM_REFUSALS = (400, 404, 409, 410, 413, 415, 422, 503)


def with_pages(document: dict[str, Any]) -> dict[str, Any]:
    """Add the pages to the document."""
    document.setdefault("paths", {}).update(_forms() | _thanks() | _resources() | _script())
    return document


def _forms() -> dict[str, Any]:
    return {
        "/b/{slug}": {
            "get": page_operation(
                "show_bait",
                "The page of a bait",
                names=_SLUG,
                answers={200: ("The page with the form. It counts as displayed.", HTML)},
                refusals=(404, 410, 422, 503),
            ),
            "post": page_operation(
                "post_bait",
                "Leave a contact on the page of a bait",
                names=_SLUG,
                answers={303: ("The lead is durable: to the thanks page.", None)},
                refusals=_FORM_REFUSALS,
                page_refusals=(422,),
                form=True,
            ),
        },
        "/f/{slug}": {"post": _plain_form()},
        "/b/{slug}/qr.svg": {
            "get": page_operation(
                "bait_qr_code",
                "A QR code of the page",
                names=_SLUG,
                answers={200: ("utm_* in the address are in the code.", "image/svg+xml")},
                refusals=(404, 410, 422, 503),
            )
        },
    }


def _plain_form() -> dict[str, Any]:
    operation = page_operation(
        "post_form",
        "Leave a contact by a form on any site",
        names=_SLUG,
        answers={
            202: ("The lead is durable; for callers that accept JSON only.", "application/json"),
            303: (
                "The lead is durable: to the thanks page, or to `_next` where it is allowed.",
                None,
            ),
        },
        refusals=(*_FORM_REFUSALS, 403),
        page_refusals=(422,),
        form=True,
    )
    operation["responses"]["202"]["content"]["application/json"] = {
        "schema": {"$ref": "#/components/schemas/LeadAccepted"}
    }
    multipart = operation["requestBody"]["content"]
    multipart["multipart/form-data"] = next(iter(multipart.values()))
    return operation


def _thanks() -> dict[str, Any]:
    operation = page_operation(
        "show_thanks",
        "The page after the form",
        names=_SLUG,
        answers={200: ("Where the resource is, or the button to it.", HTML)},
        refusals=(404, 410, 422, 503),
    )
    operation["parameters"].append(
        {"name": "t", "in": "query", "required": False, "schema": {"type": "string"}}
    )
    return {
        "/b/{slug}/thanks": {
            "get": operation,
            "post": page_operation(
                "open_on_thanks_page",
                "The button on the thanks page",
                names=_SLUG,
                answers={200: ("The resource. The contact is not verified by it.", HTML)},
                refusals=(400, 404, 410, 413, 422, 503),
                form=True,
            ),
        }
    }


def _resources() -> dict[str, Any]:
    return {
        "/r/{token}": {
            "get": page_operation(
                "show_resource",
                "The page behind the link of a bait mail",
                names=_TOKEN,
                answers={200: ("A page with one button. Nothing is changed.", HTML)},
                refusals=(404, 410, 422, 503),
            ),
            "post": page_operation(
                "open_resource",
                "The button behind the link of a bait mail",
                names=_TOKEN,
                answers={200: ("The resource. The contact is verified by it.", HTML)},
                refusals=(404, 410, 413, 422, 503),
                form=True,
            ),
        },
        "/r/{token}/file": {
            "get": page_operation(
                "download_resource",
                "The file, by the link that the button gave",
                names=_TOKEN,
                answers={200: ("The file, as it was uploaded.", "*/*")},
                refusals=(404, 410, 422, 503),
            )
        },
    }


def _script() -> dict[str, Any]:
    return {
        "/embed.js": {
            "get": page_operation(
                "get_embed_script",
                "The script that draws a form in place",
                answers={
                    200: ("The same for everybody, without a cookie.", "text/javascript"),
                    304: ("`If-None-Match` names what is there.", None),
                },
                refusals=(422,),
            )
        }
    }

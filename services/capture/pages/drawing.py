"""Draws the pages of a bait: its form, thanks, and the resource."""

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.capture.baits.live import LiveBait, LiveForm
from services.capture.baits.schemas import FileResource, UrlResource
from services.capture.baits.service import Delivery
from services.capture.pages.form_view import form_view
from services.shared.errors import FieldError
from services.shared.reasons import sentence
from services.shared.web.languages import language_of
from services.shared.web.pages import CSP, Pages

TEMPLATES = Path(__file__).parent / "templates"
PRIVATE: Mapping[str, str] = {"referrer-policy": "no-referrer", "cache-control": "no-store"}
"""For pages whose address holds a token."""

_POST_MAY_LEAVE = CSP.replace("form-action 'self'", "form-action *")


class Drawing:
    """The pages of capture."""

    def __init__(self, pages: Pages, delivery: Delivery) -> None:
        self._pages = pages
        self.delivery = delivery

    def page(
        self,
        request: Request,
        name: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> Response:
        """Any page of capture; the posts on it may end on another site (a form's `_next`, a resource)."""
        merged = {"content-security-policy": _POST_MAY_LEAVE, **(headers or {})}
        return self._pages.response(request, name, status=status, headers=merged, **context)

    def form(
        self,
        request: Request,
        bait: LiveBait,
        form: LiveForm,
        *,
        action: str,
        hidden: Mapping[str, str],
        typed: Mapping[str, Sequence[str]] | None = None,
        wrong: Sequence[FieldError] = (),
    ) -> Response:
        """The form; with errors beside their fields and what was typed kept, as status 422."""
        language = language_of(request)
        mailed = self.delivery.way(form.document.contacts[0], bait.document) == "mail"
        errors = {error.field: sentence(error.reason, language) for error in wrong}
        view = form_view(bait, form, language, mailed=mailed)
        known = {
            *(item.name for item in (*view.contacts, *view.inputs)),
            *(box.name for box in view.consents),
        }
        came = {name: value for name, value in hidden.items() if name.startswith("utm_")}
        return self.page(
            request,
            "bait.html",
            status=422 if wrong else 200,
            headers={"referrer-policy": "strict-origin-when-cross-origin"},
            view=view,
            action=with_language(request, action),
            hidden=hidden,
            carried=f"{urlencode(came)}&" if came else "",
            typed=typed or {},
            errors=errors,
            elsewhere=[text for name, text in errors.items() if name not in known],
        )

    def resource(
        self, request: Request, bait: LiveBait, file_link: str, **context: Any
    ) -> Response:
        """The resource itself: shown, offered for download, or the way to it."""
        given = bait.document.resource
        if isinstance(given, UrlResource):
            return RedirectResponse(given.url, status_code=303, headers=dict(PRIVATE))
        name = given.name if isinstance(given, FileResource) else None
        return self.page(
            request,
            "opened.html",
            headers=PRIVATE,
            bait=bait.document,
            resource=given,
            file_name=name,
            file_kind=posixpath.splitext(name or "")[1].removeprefix(".").upper()[:5],
            file_link=file_link,
            **context,
        )


def with_language(request: Request, path: str) -> str:
    """The path, with the language that the visitor chose by hand."""
    chosen = request.query_params.get("lang", "")
    return f"{path}?lang={quote(chosen[:8])}" if chosen else path

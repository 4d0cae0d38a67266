"""The local mailbox: `/mailbox` for operators, `/mailbox/messages` for programs."""

import re
from collections.abc import Sequence
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from sqlmodel import Session

from services.push.mailbox import repository
from services.shared.auth.access import ReadCaller
from services.shared.database.cursors import after, cursor_of
from services.shared.errors import NotFound
from services.shared.ground import Ground
from services.shared.web.body import StrictRoute
from services.shared.web.openapi import problems
from services.shared.web.pages import OperatorPage, PageRoute, Pages

TEMPLATES = Path(__file__).parent / "templates"

# what a stranger's HTML may do in the operator's browser: show text, styles and inline pictures
_SANDBOX = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'"
)


class MailOut(BaseModel):
    """A kept message."""

    id: UUID
    kept_at: datetime
    recipient: str
    subject: str


class MailHeader(BaseModel):
    """A line of a message's head."""

    name: str
    value: str


class MailText(MailOut):
    """A kept message with what it says."""

    text: str
    html: str | None
    headers: list[MailHeader]


class MailList(BaseModel):
    """Kept messages, the newest first."""

    items: list[MailOut]
    next: str | None


def routers(pages: Pages) -> list[APIRouter]:
    """The routes of the mailbox."""
    return [_api(), _pages(pages)]


def _api() -> APIRouter:
    api = APIRouter(
        prefix="/mailbox/messages",
        tags=["mailbox"],
        route_class=StrictRoute,
        responses=problems(401, 403, 404, 422, 503),
    )

    @api.get("", summary="Messages of the local mailbox, the newest first")
    async def messages(
        request: Request,
        _caller: ReadCaller,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = repository.PAGE,
    ) -> MailList:
        rows = await _newest(request, cursor, limit)
        last = cursor_of(rows[-1].kept_at, rows[-1].id) if len(rows) == limit else None
        return MailList(items=[MailOut(**row._mapping) for row in rows], next=last)

    @api.get("/{mail_id}", summary="One message with its texts and headers")
    async def message(request: Request, _caller: ReadCaller, mail_id: UUID) -> MailText:
        row, mail = await _find(request, mail_id)
        return MailText(
            id=row.id,
            kept_at=row.kept_at,
            recipient=row.recipient,
            subject=row.subject,
            text=_part(mail, "plain") or "",
            html=_part(mail, "html"),
            headers=[MailHeader(name=name, value=str(value)) for name, value in mail.items()],
        )

    return api


def _pages(pages: Pages) -> APIRouter:
    shown = APIRouter(prefix="/mailbox", route_class=PageRoute, include_in_schema=False)

    @shown.get("")
    async def listing(
        request: Request, caller: OperatorPage, cursor: str | None = None, part: str = ""
    ) -> Response:
        rows = await _newest(request, cursor, repository.PAGE)
        more = cursor_of(rows[-1].kept_at, rows[-1].id) if len(rows) == repository.PAGE else None
        local = request.app.state.service.local_mail
        name = "mails.html" if part == "list" else "mailbox.html"
        return pages.response(
            request, name, caller=caller, mails=rows, more=more, local=local, first=cursor is None
        )

    @shown.get("/{mail_id}")
    async def one(request: Request, caller: OperatorPage, mail_id: UUID) -> Response:
        row, mail = await _find(request, mail_id)
        return pages.response(
            request,
            "mail.html",
            caller=caller,
            mail=row,
            lines=[(name, str(value)) for name, value in mail.items()],
            text=_part(mail, "plain"),
            has_html=_part(mail, "html") is not None,
        )

    @shown.get("/{mail_id}/html")
    async def drawn(request: Request, _caller: OperatorPage, mail_id: UUID) -> Response:
        _, mail = await _find(request, mail_id)
        text = _part(mail, "html")
        if text is None:
            raise NotFound
        headers = {
            "content-security-policy": _SANDBOX,
            "cache-control": "no-store",
            "referrer-policy": "no-referrer",
        }
        drawn_text = in_a_new_tab(text)
        return Response(drawn_text, media_type="text/html; charset=utf-8", headers=headers)

    @shown.get("/{mail_id}/raw")
    async def raw(request: Request, _caller: OperatorPage, mail_id: UUID) -> Response:
        row, _ = await _find(request, mail_id)
        headers = {
            "content-disposition": f'attachment; filename="{mail_id}.eml"',
            "cache-control": "no-store",
        }
        return Response(row.raw, media_type="message/rfc822", headers=headers)

    return shown


def in_a_new_tab(text: str) -> str:
    """A message's HTML whose links open beside the mailbox: no page of ours is drawn within a frame."""
    base = '<base target="_blank">'
    head = re.search(r"<head[^>]*>", text, re.IGNORECASE)
    return f"{text[: head.end()]}{base}{text[head.end() :]}" if head else base + text


def _ground(request: Request) -> Ground[object]:  # type: ignore[type-var]  # only its database
    ground: Ground[object] = request.app.state.ground  # type: ignore[type-var]
    return ground


async def _newest(request: Request, cursor: str | None, limit: int) -> Sequence[Any]:
    earlier = after(cursor, repository.MAILS.c.kept_at, repository.MAILS.c.id)
    return await _ground(request).database.read(
        lambda session: repository.newest(session, earlier, limit)
    )


async def _find(request: Request, mail_id: UUID) -> tuple[repository.Mail, EmailMessage]:
    def work(session: Session) -> repository.Mail | None:
        return repository.find(session, mail_id)

    row = await _ground(request).database.read(work)
    if row is None:
        raise NotFound
    return row, repository.read(row.raw)


def _part(mail: EmailMessage, kind: str) -> str | None:
    body = mail.get_body((kind,))
    if body is None:
        return None
    text: str = body.get_content()
    return text

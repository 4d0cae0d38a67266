"""The local mailbox in push's own database."""

from collections.abc import Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.push.channels.email.mailbox import MailboxUnavailable
from services.push.mailbox.models import LocalMail
from services.push.sets import dialect_of
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import Unavailable
from services.shared.group_commit import GroupCommit

MAILS = LocalMail.__table__  # type: ignore[attr-defined]  # what SQLModel adds

PAGE = 50


def read(raw: bytes) -> EmailMessage:
    """A kept message, parsed."""
    return BytesParser(policy=policy.default).parsebytes(raw)


class SqlMailbox:
    """Keeps messages; see `MailboxStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        self._commits: GroupCommit[dict[str, Any], None] = GroupCommit(
            database, clock, _keep, window=0
        )

    async def add(self, raw: bytes, delivery_id: UUID, recipient: str, subject: str) -> None:
        row = {
            "id": delivery_id,
            "kept_at": self._clock.now(),
            "recipient": recipient[:320].lower(),
            "subject": subject[:500],
            "raw": raw,
        }
        try:
            await self._commits.submit(row)
        except Unavailable as error:
            raise MailboxUnavailable from error


def _keep(session: Session, rows: Sequence[dict[str, Any]]) -> Sequence[None]:
    insert = insert_postgresql if dialect_of(session) == "postgresql" else insert_sqlite
    session.execute(insert(MAILS).on_conflict_do_nothing(), list(rows))
    return [None] * len(rows)


def newest(session: Session, earlier: Sequence[ColumnElement[bool]], limit: int) -> Sequence[Any]:
    """Messages from the newest on, without their bytes; `earlier` is where a list goes on."""
    rows = select(MAILS.c.id, MAILS.c.kept_at, MAILS.c.recipient, MAILS.c.subject).where(*earlier)
    rows = rows.order_by(MAILS.c.kept_at.desc(), MAILS.c.id.desc()).limit(limit)
    return session.execute(rows).all()


class Mail(NamedTuple):
    """A kept message, whole."""

    id: UUID
    kept_at: datetime
    recipient: str
    subject: str
    raw: bytes


def find(session: Session, mail_id: UUID) -> Mail | None:
    """One message, whole."""
    row = session.execute(
        select(*[MAILS.c[name] for name in Mail._fields]).where(MAILS.c.id == mail_id)
    ).one_or_none()
    return None if row is None else Mail(*row)


def forget(session: Session, addresses: Sequence[str]) -> None:
    """Delete what was written to people who were erased."""
    if addresses:
        lowered = [address.lower() for address in addresses]
        session.execute(delete(MAILS).where(MAILS.c.recipient.in_(lowered)))

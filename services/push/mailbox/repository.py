"""The local mailbox in push's own database."""

from collections.abc import Sequence
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlmodel import Session

from services.push.channels.email.mailbox import MailboxUnavailable
from services.push.mailbox.models import LocalMail
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.database.rows import RowWriter
from services.shared.errors import Unavailable
from services.shared.group_commit import GroupCommit

MAILS = LocalMail.__table__  # type: ignore[attr-defined]  # what SQLModel adds

PAGE = 50

_WRITER = RowWriter(MAILS, "id", "kept_at", "recipient", "subject", "raw", missing=True)
_Row = tuple[UUID, datetime, str, str, bytes]


def read(raw: bytes) -> EmailMessage:
    """A kept message, parsed."""
    return BytesParser(policy=policy.default).parsebytes(raw)


class SqlMailbox:
    """Keeps messages; see `MailboxStore`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._clock = clock
        self._commits: GroupCommit[_Row, None] = GroupCommit(database, clock, _keep, window=0)

    async def add(self, raw: bytes, delivery_id: UUID, recipient: str, subject: str) -> None:
        row = (delivery_id, self._clock.now(), recipient[:320].lower(), subject[:500], raw)
        try:
            await self._commits.submit(row)
        except Unavailable as error:
            raise MailboxUnavailable from error


def _keep(session: Session, rows: Sequence[_Row]) -> Sequence[None]:
    _WRITER.write(session, rows)
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

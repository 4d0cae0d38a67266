"""A real SMTP server that keeps what it gets. It runs in a thread: sync and async tests use it alike.

For functional tests; too slow a sink for measurements.
"""

import asyncio
import email
import email.policy
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.components.processes import free_port
from tests.components.waiting import PATIENCE, TooLate


@dataclass(frozen=True)
class Mail:
    """One accepted mail as it came over the wire."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes
    tls: bool
    login: str | None

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    def text(self, kind: str = "plain") -> str:
        """The decoded body of that kind (`plain` or `html`)."""
        body = self.message.get_body((kind,))
        if body is None:
            raise LookupError(f"this mail has no text/{kind} part")
        content: str = body.get_content()
        return content


@dataclass
class Inbox:
    """What has arrived, and what the server answers instead of accepting."""

    replies: dict[str, str] = field(default_factory=dict)
    _mails: list[Mail] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def all(self) -> list[Mail]:
        with self._changed:
            return list(self._mails)

    def to(self, recipient: str) -> list[Mail]:
        return [mail for mail in self.all() if recipient in mail.recipients]

    def answer(self, recipient: str, reply: str) -> None:
        """Refuse `recipient` with `reply`, such as `550 5.1.1 no such user`."""
        self.replies[recipient] = reply

    def keep(self, mail: Mail) -> None:
        with self._changed:
            self._mails.append(mail)
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._mails.clear()

    def wait_for(
        self, count: int = 1, *, to: str | None = None, seconds: float = PATIENCE
    ) -> list[Mail]:
        """At least `count` mails (to that recipient); `TooLate` says what was there instead."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = [m for m in self._mails if to is None or to in m.recipients]
                if len(found) >= count:
                    return found
                if not self._changed.wait(end - time.monotonic()):
                    raise TooLate(
                        f"{len(found)} of {count} mails to {to or 'anyone'} in {seconds:g} s"
                    )

    async def arrived(
        self, count: int = 1, *, to: str | None = None, seconds: float = PATIENCE
    ) -> list[Mail]:
        """`wait_for` while the event loop goes on."""
        return await asyncio.to_thread(self.wait_for, count, to=to, seconds=seconds)


class _Handler:
    def __init__(self, inbox: Inbox, login_needed: bool) -> None:
        self._inbox = inbox
        self._login_needed = login_needed

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._login_needed and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self._inbox.replies.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content or b""
        login: Any = session.auth_data
        self._inbox.keep(
            Mail(
                envelope.mail_from or "",
                tuple(envelope.rcpt_tos),
                raw,
                tls=session.ssl is not None,
                login=login.decode() if isinstance(login, bytes) else None,
            )
        )
        return "250 2.0.0 OK"


class SmtpServer:
    """A listening server: `url` for settings, `inbox` for what it got.

    With `tls` it offers STARTTLS (`smtps=True`: TLS from the first byte); with `logins` (name → password) it
    takes mail only after AUTH.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        smtps: bool = False,
        logins: Mapping[str, str] | None = None,
    ) -> None:
        self.inbox = Inbox()
        self.port = free_port()
        self._logins = logins or {}
        options: dict[str, Any] = {
            "enable_SMTPUTF8": True,
            "hostname": "127.0.0.1",
            "port": self.port,
        }
        if logins:
            options.update(authenticator=self._log_in, auth_require_tls=tls is not None)
        if tls is not None:
            options.update({"ssl_context": tls} if smtps else {"tls_context": tls})
        self._controller = Controller(_Handler(self.inbox, bool(logins)), **options)
        self._controller.start()

    def _log_in(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        known = isinstance(data, LoginPassword) and (
            self._logins.get(data.login.decode()) == data.password.decode()
        )
        return AuthResult(success=known, handled=known, auth_data=data.login if known else None)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._controller.stop()


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A server in plain text that takes everything."""
    server = SmtpServer()
    try:
        yield server
    finally:
        server.stop()

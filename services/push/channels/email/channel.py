"""E-mail by SMTP: the channel that opens sessions."""

import socket
import ssl

from services.push.channels.base import (
    MAX_WINDOW,
    ChannelUnavailable,
    OutcomeClass,
    Report,
    SenderIdentity,
)
from services.push.channels.email.connection import SmtpConnection
from services.push.channels.email.encoding import AddressInvalid, mailbox
from services.push.channels.email.judge import Judge
from services.push.channels.email.message import Composer
from services.push.channels.email.session import Handshake
from services.push.channels.email.settings import SmtpSettings, Tls, is_loopback
from services.shared.clock import Clock


class SmtpChannel:
    """Sends through one mail server as one installation.

    `sender` is MAIL_FROM: the identity of messages that bring none, the domain of every Message-ID.
    Raises ValueError when its address cannot be one, or when the file of `?ca=` cannot be read.
    """

    name = "email"

    def __init__(
        self,
        settings: SmtpSettings,
        sender: SenderIdentity,
        clock: Clock,
        *,
        context: ssl.SSLContext | None = None,
        hello: str | None = None,
    ) -> None:
        try:
            self._composer = Composer(sender, clock)
        except AddressInvalid as error:
            raise ValueError(f"MAIL_FROM: {error}") from None
        self._settings = settings
        self._clock = clock
        self._context = context or _context(settings)
        self._hello = hello or _hello_name()
        self._judge = Judge()
        self.lanes = settings.lanes
        self.window = min(settings.window, MAX_WINDOW)

    async def connect(self, report: Report) -> SmtpConnection:
        """Open a session: greeting, TLS, AUTH. Raises ChannelUnavailable."""
        handshake = Handshake(self._settings, self._context, self._hello)
        wire, extensions = await handshake.open()
        if wire.lost is not None:
            raise ChannelUnavailable(OutcomeClass.RETRY_LATER, wire.lost)
        return SmtpConnection(
            wire,
            extensions,
            self._composer,
            self._judge,
            self._settings.timeouts,
            self._clock,
            report,
        )

    async def close(self) -> None:
        """Nothing is shared between sessions that would have to be given back."""


def _context(settings: SmtpSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:
        raise ValueError(f"the certificate authority's file cannot be read: {error}") from None
    if settings.tls is Tls.OFFERED and is_loopback(settings.host):
        # a mail server on this machine has a certificate of its own making; nobody is in between
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _hello_name() -> str:
    """This machine's name for EHLO, or its loopback literal when the name is none (RFC 5321, 4.1.3)."""
    name = socket.gethostname()
    try:
        domain = mailbox(f"postmaster@{name}").domain.decode("ascii")
    except AddressInvalid:
        return "[127.0.0.1]"
    return domain

"""E-mail by SMTP: the channel that opens sessions."""

import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.push.channels.base import (
    MAX_WINDOW,
    ChannelUnavailable,
    OutcomeClass,
    Report,
    SenderIdentity,
)
from services.push.channels.email.connection import SmtpConnection
from services.push.channels.email.dkim.signer import Signer
from services.push.channels.email.encoding import AddressInvalid, mailbox
from services.push.channels.email.judge import Judge
from services.push.channels.email.message import Composer
from services.push.channels.email.session import Handshake
from services.push.channels.email.settings import SmtpSettings, Tls, is_loopback
from services.shared.clock import Clock

if TYPE_CHECKING:
    # cryptography is not loaded where nothing is signed
    from services.push.channels.email.dkim.keys import SigningKey

_SIGNING = 1600
"""Messages that may wait for a signature at once: half a second of RSA."""


class SmtpChannel:
    """Sends through one mail server as one installation.

    `sender` is MAIL_FROM: the identity of messages that bring none, the domain of every Message-ID.
    `keys` sign what comes from their domains.
    Raises ValueError when its address cannot be one, or when the file of `?ca=` cannot be read.
    """

    name = "email"

    def __init__(
        self,
        settings: SmtpSettings,
        sender: SenderIdentity,
        clock: Clock,
        *,
        keys: Sequence["SigningKey"] = (),
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
        self._signer = Signer(keys, clock) if keys else None
        self.lanes = settings.lanes
        self.window = min(settings.window, MAX_WINDOW)
        if keys:
            # nobody's turn to be signed may come after the message has become stale
            self.window = max(1, min(self.window, _SIGNING // self.lanes))

    async def connect(self, report: Report) -> SmtpConnection:
        """Open a session: greeting, TLS, AUTH. Raises ChannelUnavailable."""
        if self._signer is not None:
            await self._signer.start()
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
            self._signer,
        )

    async def close(self) -> None:
        """End the processes that sign."""
        if self._signer is not None:
            await self._signer.close()


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

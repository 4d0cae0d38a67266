"""Mail without a mail server: every message goes, as it would be sent, into the local mailbox."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from services.push.channels.base import (
    MAX_WINDOW,
    OutcomeClass,
    Outgoing,
    Report,
    Result,
    SenderIdentity,
    render,
)
from services.push.channels.email.dkim.signer import Signer
from services.push.channels.email.message import ComposeError, Composer
from services.push.channels.queued import CLOSE_SECONDS, QueuedConnection
from services.shared.clock import Clock

if TYPE_CHECKING:
    # cryptography is not loaded where nothing is signed
    from services.push.channels.email.dkim.keys import SigningKey


LANES = 2 * MAX_WINDOW
"""No more are in doubt after a crash than two connections to a mail server leave."""


class MailboxUnavailable(Exception):
    """The store cannot take a message now; it was not kept."""


class MailboxStore(Protocol):
    """Where the local mailbox keeps messages."""

    async def add(self, raw: bytes, delivery_id: UUID, recipient: str, subject: str) -> None:
        """Keep a finished message, durably. The same delivery again changes nothing.

        Raises MailboxUnavailable, and no other error for a fault that may pass.
        """
        ...


class MemoryMailbox:
    """A store for tests and trials: gone with the process."""

    def __init__(self) -> None:
        self.messages: dict[UUID, bytes] = {}
        self.heads: dict[UUID, tuple[str, str]] = {}

    async def add(self, raw: bytes, delivery_id: UUID, recipient: str, subject: str) -> None:
        self.messages.setdefault(delivery_id, raw)
        self.heads.setdefault(delivery_id, (recipient, subject))
        await asyncio.sleep(0)


class LocalMailbox:
    """The e-mail channel of an installation that has no mail server."""

    name = "email"
    # those side by side share a commit: one each
    window = 1

    def __init__(
        self,
        store: MailboxStore,
        sender: SenderIdentity,
        clock: Clock,
        close_seconds: float = CLOSE_SECONDS,
        keys: Sequence["SigningKey"] = (),
        *,
        lanes: int = LANES,
    ) -> None:
        self.lanes = lanes
        self._store = store
        self._close_seconds = close_seconds
        self._clock = clock
        self._composer = Composer(sender, clock)
        self._signer = Signer(keys, clock)

    async def connect(self, report: Report) -> QueuedConnection:
        return QueuedConnection(self._send, report, self._clock, self._close_seconds)

    async def close(self) -> None:
        """The store belongs to whoever made it."""

    async def _send(self, message: Outgoing) -> Result:
        try:
            composed = self._composer.compose(message)
        except ComposeError as error:
            outcome = (
                OutcomeClass.PERMANENT_RECIPIENT
                if error.recipient
                else OutcomeClass.PERMANENT_CONFIG
            )
            return Result(message.delivery_id, outcome, error.code, error.detail)
        try:
            composed = self._signer.sign_now(composed)
            subject = " ".join(render(message.content.subject, message.values).split())
            await self._store.add(composed.raw, message.delivery_id, message.address, subject)
        except MailboxUnavailable:
            return Result(message.delivery_id, OutcomeClass.RETRY_LATER, "mailbox-unavailable")
        return Result(message.delivery_id, OutcomeClass.OK, "kept", "", composed.message_id)

"""The channels that the settings connect."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from typing import TYPE_CHECKING

from services.push.channels.base import MAX_WINDOW, Channel, SenderIdentity
from services.push.channels.email.channel import SmtpChannel
from services.push.channels.email.mailbox import LANES, LocalMailbox, MailboxStore
from services.push.channels.email.settings import SmtpSettings
from services.push.settings import PushSettings
from services.shared.clock import Clock
from services.shared.errors import SetupError

if TYPE_CHECKING:
    import httpx

    # cryptography is not loaded where nothing is signed
    from services.push.channels.email.dkim.keys import SigningKey

KNOWN = ("email", "webhook")


@dataclass(frozen=True)
class Opened:
    """Channels, and what has to be closed after them. `local_mail`: no mail leaves this machine."""

    channels: Sequence[Channel]
    closers: Sequence[Callable[[], Awaitable[None]]]
    local_mail: bool


def sender_of(settings: PushSettings) -> SenderIdentity:
    """Who mail comes from when nothing else is said. Raises `SetupError`."""
    name, address = parseaddr(settings.mail_from)
    if "@" not in address:
        raise SetupError("BAITWELL_MAIL_FROM must read: Name <name@company.example>")
    return SenderIdentity(name, address)


def signing_keys(settings: PushSettings) -> "tuple[SigningKey, ...]":
    """The keys that mail is signed with. Raises `SetupError`."""
    if settings.dkim_keys is None:
        return ()
    # imported here: where nothing is signed the start has no use for cryptography
    from services.push.channels.email.dkim.keys import KeyInvalid, read_keys

    try:
        return read_keys(settings.dkim_keys.get_secret_value())
    except KeyInvalid as error:
        raise SetupError(f"BAITWELL_DKIM_KEYS is wrong: {error}") from None


def open_channels(settings: PushSettings, mailbox: MailboxStore, clock: Clock) -> Opened:
    """The connected channels that this process dispatches. Raises `SetupError`."""
    unknown = [name for name in settings.channels if name not in KNOWN]
    if unknown:
        raise SetupError(f"no such channel: {unknown[0]} (there are {', '.join(KNOWN)})")
    wanted = settings.channels or KNOWN
    local = uses_local_mail(settings)
    channels: list[Channel] = []
    closers: list[Callable[[], Awaitable[None]]] = []
    if "email" in wanted:
        channels.append(_email(settings, mailbox, clock, local=local))
    if "webhook" in wanted and settings.webhook_url:
        # imported here: without a webhook the start has no use for an HTTP client
        import httpx

        from services.shared.http.ssrf import Guard, GuardedTransport

        guard = Guard(settings.webhook_allowed_hosts)
        client = httpx.AsyncClient(transport=GuardedTransport(guard), trust_env=False)
        channels.append(_webhook(settings, client, clock))
        closers.append(client.aclose)
    return Opened(channels, closers, local)


def uses_local_mail(settings: PushSettings) -> bool:
    """Whether mail is kept in the local mailbox. Raises `SetupError` when nobody said what to do with it."""
    if settings.mail == "local":
        return True
    if settings.smtp_url is not None:
        return False
    if settings.mail == "smtp":
        raise SetupError("BAITWELL_MAIL=smtp needs BAITWELL_SMTP_URL")
    if settings.scaled:
        raise SetupError(
            "set BAITWELL_SMTP_URL, or BAITWELL_MAIL=local to keep all mail in the local mailbox"
        )
    return True


def _email(settings: PushSettings, mailbox: MailboxStore, clock: Clock, *, local: bool) -> Channel:
    sender = sender_of(settings)
    keys = signing_keys(settings)
    try:
        if local or settings.smtp_url is None:
            # a commit on another machine costs more: as many share one as would be on their way to a mail server
            lanes = settings.mail_lanes * MAX_WINDOW if settings.scaled else LANES
            return LocalMailbox(mailbox, sender, clock, keys=keys, lanes=lanes)
        url = settings.smtp_url.get_secret_value()
        smtp = SmtpSettings.from_url(url, lanes=settings.mail_lanes)
        return SmtpChannel(smtp, sender, clock, keys=keys)
    except ValueError as error:
        raise SetupError(f"BAITWELL_SMTP_URL is wrong: {error}") from error


def _webhook(settings: PushSettings, client: "httpx.AsyncClient", clock: Clock) -> Channel:
    # imported here, as above
    from services.push.channels.webhook import WebhookChannel, WebhookSettings

    if settings.webhook_url is None or settings.webhook_secret is None:
        raise SetupError("BAITWELL_WEBHOOK_URL needs BAITWELL_WEBHOOK_SECRET")
    secrets = tuple(settings.webhook_secret.get_secret_value().split())
    try:
        return WebhookChannel(WebhookSettings(settings.webhook_url, secrets), client, clock)
    except ValueError as error:
        raise SetupError(f"BAITWELL_WEBHOOK_SECRET is wrong: {error}") from error

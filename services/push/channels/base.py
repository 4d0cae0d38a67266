"""The channel port: what push asks of every way to reach a person.

A channel opens connections; a connection takes messages in order and reports exactly one `Result` for each.
The classes of outcome are those that every provider's answers are mapped to, by a table per channel.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol
from uuid import UUID

Scope = Literal["channel", "recipient"]

MAX_WINDOW = 16
"""The most messages that may stand marked `sending` on one connection."""


class OutcomeClass(StrEnum):
    """What a channel said of a delivery, in the only words the ledger knows."""

    OK = "ok"
    RETRY_LATER = "retry-later"
    RATE_LIMITED = "rate-limited"
    PERMANENT_RECIPIENT = "permanent-recipient"
    SKIP_RECIPIENT = "skip-recipient"
    PERMANENT_CONFIG = "permanent-config"
    TOKEN_REFRESH = "token-refresh"  # noqa: S105 - the name of an outcome
    AMBIGUOUS = "ambiguous"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole in content: `var:<variable>`, `link:<n>`, `open`, `unsubscribe` or `preferences`.

    `escape` says how the value is written in: `html` in an HTML part, `text` everywhere else.
    """

    name: str
    escape: Literal["html", "text"]


Segments = tuple[str | Slot, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """A rendered template with holes for what differs from person to person.

    `version` is a cache key: template version and language. Two contents of one version are equal.
    A hole that does not escape as its part must raises ValueError here, before anything is sent.
    """

    subject: Segments
    text: Segments
    html: Segments | None
    language: str
    version: str

    def __post_init__(self) -> None:
        _require(self.subject, "subject", "text")
        _require(self.text, "text", "text")
        _require(self.html or (), "html", "html")


def _require(segments: Segments, part: str, escape: str) -> None:
    for segment in segments:
        if isinstance(segment, Slot) and segment.escape != escape:
            raise ValueError(f"the slot {segment.name} of the {part} must escape as {escape}")


def render(segments: Segments, values: Mapping[str, str]) -> str:
    """The segments as one text, each value escaped as its slot says. KeyError for a missing one."""
    return "".join(
        segment
        if isinstance(segment, str)
        else html.escape(values[segment.name])
        if segment.escape == "html"
        else values[segment.name]
        for segment in segments
    )


@dataclass(frozen=True, slots=True)
class SenderIdentity:
    """Who a message comes from: a display name, an address, and where answers go."""

    name: str
    address: str
    reply_to: str | None = None


class Outgoing(NamedTuple):
    """One message to one address.

    `values` are by slot name and unescaped. `sender` None: the installation's own. `unsubscribe_url`
    None: a transactional message, without list headers. `fresh_until` is an instant of
    `Clock.monotonic()`: a message whose turn comes later is not sent.
    """

    delivery_id: UUID
    address: str
    content: Content
    values: Mapping[str, str]
    sender: SenderIdentity | None
    unsubscribe_url: str | None
    fresh_until: float


class Result(NamedTuple):
    """What became of one message.

    `outcome` None: it was not sent and goes back to planned. `code` is the provider's code or a word
    of ours from a bounded set. `detail` is for the operator: short, without addresses or other personal
    data. `scope` says what a rate limit pauses.
    """

    delivery_id: UUID
    outcome: OutcomeClass | None
    code: str
    detail: str = ""
    provider_id: str | None = None
    retry_after: timedelta | None = None
    scope: Scope = "channel"


Report = Callable[[Result], None]
"""Takes a result. Called in the event loop, also from within `submit`; it must not block."""


class ChannelUnavailable(Exception):
    """The provider cannot be reached, or refuses us as a whole; nothing was sent.

    `outcome` is RETRY_LATER, RATE_LIMITED or PERMANENT_CONFIG; the message holds no secret.
    """

    def __init__(
        self,
        outcome: OutcomeClass,
        code: str,
        detail: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{outcome} {code} {detail}".rstrip())
        self.outcome = outcome
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class Connection(Protocol):
    """One way to the provider. Messages leave in the order in which they were submitted."""

    @property
    def open(self) -> bool:
        """False once it was closed or broke: what is submitted then is reported as not sent."""
        ...

    def submit(self, message: Outgoing) -> None:
        """Queue a message; never blocks, never raises for what the message holds.

        Exactly one result is reported for it, also when the connection dies or is closed.
        """
        ...

    async def close(self) -> None:
        """Let what is on the wire finish, up to a bound, and report what was never started as not sent.

        When it returns every submitted message has been reported. It may be called twice.
        """
        ...


class Channel(Protocol):
    """A provider as push sees it."""

    @property
    def name(self) -> str:
        """The word for it in deliveries, outcomes and metrics."""
        ...

    @property
    def lanes(self) -> int:
        """How many connections may be open at once."""
        ...

    @property
    def window(self) -> int:
        """How many messages a connection may hold that were not reported yet; at most MAX_WINDOW."""
        ...

    async def connect(self, report: Report) -> Connection:
        """Open a connection whose results go to `report`. Raises ChannelUnavailable."""
        ...

    async def close(self) -> None:
        """Give back what the connections share, after they were closed."""
        ...

"""What the policy is asked and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID


class Ask(Protocol):
    """A message that is about to go out."""

    @property
    def id(self) -> UUID: ...
    @property
    def cause_kind(self) -> str: ...
    @property
    def profile_id(self) -> UUID | None: ...
    @property
    def contact_key(self) -> str: ...
    @property
    def abuse_key(self) -> str | None: ...
    @property
    def address(self) -> str | None: ...
    @property
    def bait_id(self) -> UUID | None: ...
    @property
    def marketing(self) -> bool: ...
    @property
    def capped(self) -> bool: ...
    @property
    def priority(self) -> int: ...
    @property
    def verified(self) -> bool: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom an allowed message goes to, as push knows them at this moment."""

    address: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """`send` (with the recipient), `hold` until a time, or `drop`; the last two with a reason."""

    verdict: Literal["send", "hold", "drop"]
    reason: str | None = None
    until: datetime | None = None
    recipient: Recipient | None = None


def drop(reason: str) -> Decision:
    """It will not be sent."""
    return Decision("drop", reason)


def hold(reason: str, until: datetime) -> Decision:
    """It waits."""
    return Decision("hold", reason, until)

"""What a delivery says: content with holes, and what fills them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote
from uuid import UUID

from sqlmodel import Session

from services.push.channels.base import Content, SenderIdentity, Slot
from services.shared.tokens import Tokens


class ContentMissing(Exception):
    """This one person's message can't be written: it is dropped, with `reason` as its code."""

    def __init__(self, reason: str, variable: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.variable = variable


class MaterialKey(NamedTuple):
    """A version of a template, or one of push's own messages, in a language."""

    version: UUID | str
    language: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Content as it suits one person.

    `slots` are the names of the content's holes (`slots_of`, kept by who makes pieces). `values` fill
    `var:<name>`; the filler fills `link:<n>` (from `links`, targets by number), `open`, `unsubscribe`
    and `preferences`.
    """

    content: Content
    slots: tuple[str, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    sender: SenderIdentity | None = None


class Material(Protocol):
    """One version of a template in one language."""

    def for_person(self, given: Mapping[str, Any], fields: Mapping[str, Any]) -> Piece:
        """The content for a person: `given` came with the delivery, `fields` are the profile's.

        Raises `ContentMissing`.
        """
        ...


class ContentSource(Protocol):
    """Where the contents of template versions come from."""

    def load(
        self, session: Session, keys: Collection[MaterialKey]
    ) -> Mapping[MaterialKey, Material]:
        """The material of each key; one that can't be had is left out, its messages are held."""
        ...


class Filler:
    """Fills the holes of a piece for one delivery."""

    def __init__(self, public_url: str, tokens: Tokens) -> None:
        self._public_url = public_url
        self._tokens = tokens
        self._quoted: dict[str, str] = {}

    def unsubscribe_url(self, delivery_id: UUID) -> str:
        """The page that asks, and takes RFC 8058's one click."""
        return f"{self._public_url}/u/{self._tokens.sign('u', delivery_id)}"

    def fill(self, piece: Piece, delivery_id: UUID, unsubscribe_url: str) -> dict[str, str]:
        """The values of all holes, unescaped."""
        filled = dict(piece.values)
        for slot in piece.slots:
            if slot.startswith("link:"):
                number = int(slot[5:])
                filled[slot] = self._click(piece.links[number], number, delivery_id)
            elif slot == "open":
                filled[slot] = f"{self._public_url}/o/{self._tokens.sign('o', delivery_id)}"
            elif slot in {"unsubscribe", "preferences"}:
                filled[slot] = unsubscribe_url
        return filled

    def _click(self, target: str, number: int, delivery_id: UUID) -> str:
        token = self._tokens.sign("c", delivery_id, number, target)
        quoted = self._quoted.get(target)
        if quoted is None:
            if len(self._quoted) > 1000:
                self._quoted.clear()
            quoted = self._quoted[target] = quote(target, safe="")
        return f"{self._public_url}/c/{token}?u={quoted}"


def slots_of(content: Content) -> tuple[str, ...]:
    """The names of a content's holes, each once."""
    parts = (*content.subject, *content.text, *(content.html or ()))
    return tuple(dict.fromkeys(part.name for part in parts if isinstance(part, Slot)))

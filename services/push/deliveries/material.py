"""What a delivery says: content with holes, and what fills them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from urllib.parse import quote
from uuid import UUID

from sqlmodel import Session

from services.push.channels.base import Content, SenderIdentity, Slot
from services.shared.tokens import Tokens


class MaterialKey(NamedTuple):
    """A version of a template, or one of push's own messages, in a language."""

    version: UUID | str
    language: str


@dataclass(frozen=True, slots=True)
class Material:
    """Content and what its holes need.

    `links` are targets by number. `variables` are the content's variables with the value for people who
    have none. Slots: `var:<variable>`, `link:<n>`, `open`, `unsubscribe`, `preferences`.
    """

    content: Content
    links: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    sender: SenderIdentity | None = None


class ContentSource(Protocol):
    """Where the contents of template versions come from."""

    def load(
        self, session: Session, keys: Collection[MaterialKey]
    ) -> Mapping[MaterialKey, Material]:
        """The material of each key; one that can't be had is left out, its messages are held."""
        ...


class Filler:
    """Fills the holes of a material for one delivery."""

    def __init__(self, public_url: str, tokens: Tokens) -> None:
        self._public_url = public_url
        self._tokens = tokens
        self._quoted: dict[str, str] = {}

    def unsubscribe_url(self, delivery_id: UUID) -> str:
        """The page that asks, and takes RFC 8058's one click."""
        return f"{self._public_url}/u/{self._tokens.sign('u', delivery_id)}"

    def values(
        self,
        material: Material,
        slots: Collection[str],
        delivery_id: UUID,
        own: Mapping[str, str],
        fields: Mapping[str, object],
    ) -> dict[str, str]:
        """The values of `slots`: the delivery's own before the person's fields before the default."""
        filled: dict[str, str] = {}
        for slot in slots:
            kind, _, name = slot.partition(":")
            if kind == "var":
                value = own.get(name, fields.get(name))
                filled[slot] = material.variables.get(name, "") if value is None else str(value)
            elif kind == "link":
                filled[slot] = self._click(material.links[int(name)], int(name), delivery_id)
            elif kind == "open":
                filled[slot] = f"{self._public_url}/o/{self._tokens.sign('o', delivery_id)}"
            else:
                filled[slot] = self.unsubscribe_url(delivery_id)
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

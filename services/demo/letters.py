"""Reading the mails that the visitors got, out of the local mailbox."""

import email
import email.policy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import EmailMessage

import httpx

from services.shared.clock import SystemClock

_LINK = re.compile(r'https?://[^\s"<>]+')
_TRIES = 400


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail: what its links lead to."""

    to: str
    subject: str
    resource: str | None
    clicks: tuple[str, ...]
    pixel: str | None
    unsubscribe: str | None


class Letters:
    """The mailbox, read a little behind what is written to it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._clock = SystemClock()
        self._seen: set[str] = set()
        self._waiting: list[Letter] = []

    async def of(self, address: str) -> Letter | None:
        """The next unread mail to an address; None when none comes within some seconds."""
        for _ in range(_TRIES):
            await self._read()
            for letter in self._waiting:
                if letter.to == address:
                    self._waiting.remove(letter)
                    return letter
            await self._clock.sleep(0.02)
        return None

    async def all_new(self) -> list[Letter]:
        """Every unread mail."""
        await self._read()
        new, self._waiting = self._waiting, []
        return new

    async def _read(self) -> None:
        cursor: str | None = None
        while True:
            params = {"limit": "100", **({"cursor": cursor} if cursor else {})}
            answer = await self._client.get("/mailbox/messages", params=params)
            page = answer.raise_for_status().json()
            new = [item for item in page["items"] if item["id"] not in self._seen]
            for item in new:
                self._seen.add(item["id"])
                raw = await self._client.get(f"/mailbox/{item['id']}/raw")
                self._waiting.append(_letter(raw.raise_for_status().content))
            cursor = page["next"]
            if cursor is None or not new:
                return


def _letter(raw: bytes) -> Letter:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    links = _links(message)
    return Letter(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        resource=_first(links, "/r/"),
        clicks=tuple(dict.fromkeys(link for link in links if "/c/" in link)),
        pixel=_first(links, "/o/"),
        unsubscribe=next(iter(_LINK.findall(str(message["List-Unsubscribe"] or ""))), None),
    )


def _links(message: EmailMessage) -> list[str]:
    found: list[str] = []
    for kind in ("html", "plain"):
        part = message.get_body((kind,))
        if part is not None:
            text = str(part.get_content()).replace("&amp;", "&")
            found += _LINK.findall(text)
    return found


def _first(links: Iterable[str], path: str) -> str | None:
    return next((link for link in links if path in link), None)

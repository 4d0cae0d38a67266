"""Short-lived links to a file, made when the button was pressed, so that any downloader can follow them."""

from datetime import datetime
from uuid import UUID

from services.shared.errors import Gone
from services.shared.tokens import Tokens

_SLOT_SECONDS = 1800
_SLOTS = 2
_ROUND = 65_536  # a token's number has two bytes


class LinkOver(Gone):
    code = "link-over"
    titles = ("链接已失效", "This link is over")


class FileLinks:
    """Makes and reads them; each works for an hour."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def path(self, lead_id: UUID, now: datetime) -> str:
        """The address of the file of a lead's bait."""
        return f"/r/{self._tokens.sign('r', lead_id, _slot(now), bound='file')}/file"

    def lead_id(self, token: str, now: datetime) -> UUID:
        """The lead of a link. Raises `BadToken` or `LinkOver`."""
        lead_id, slot = self._tokens.verify("r", token, bound="file")
        if (_slot(now) - slot) % _ROUND > _SLOTS:
            raise LinkOver
        return lead_id


def _slot(now: datetime) -> int:
    return int(now.timestamp()) // _SLOT_SECONDS % _ROUND

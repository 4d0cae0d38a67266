"""The address of a lead's thanks page: its token opens that page for that lead, and verifies nobody."""

from datetime import datetime, timedelta
from uuid import UUID

from services.capture.baits.live import LiveBait
from services.capture.leads.models import Lead
from services.shared.errors import NotFound
from services.shared.tokens import Tokens

_OPEN_FOR = timedelta(hours=24)


class Thanks:
    """Makes and reads thanks tokens."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def path(self, bait: LiveBait, lead_id: UUID) -> str:
        """Where the visitor goes on, on our own host."""
        return f"/b/{bait.slug}/thanks?t={self.token(lead_id)}"

    def token(self, lead_id: UUID) -> str:
        """The token of a lead. It is no `/r/` token: it is bound to this use."""
        return self._tokens.sign("r", lead_id, bound="thanks")

    def lead_id(self, token: str) -> UUID | None:
        """The lead of a token; None when it is not genuine."""
        try:
            return self._tokens.verify("r", token, bound="thanks")[0]
        except NotFound:
            return None

    @staticmethod
    def is_fresh(lead: Lead, now: datetime) -> bool:
        """Whether the page still gives what the lead asked for."""
        return lead.revoked_at is None and now < min(lead.accepted_at + _OPEN_FOR, lead.expires_at)

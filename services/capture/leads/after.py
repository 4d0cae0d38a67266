"""Leads after they were accepted: verified, opened, revoked."""

from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from services.capture.leads import repository
from services.capture.leads.models import Lead
from services.capture.leads.schemas import LeadState
from services.capture.settings import CaptureSettings
from services.shared import outbox
from services.shared.errors import NotFound
from services.shared.events import Event, Message, encode
from services.shared.events.leads import LeadOpened, LeadVerified
from services.shared.ground import Ground
from services.shared.ids import derived


class NoSuchLead(NotFound):
    code = "no-such-lead"
    titles = ("没有找到这条线索", "There is no such lead")


class LeadAndOthers(NamedTuple):
    """A lead, and what else its contact asked for."""

    lead: Lead
    others: list[Lead]


class LeadFile:
    """Finds leads and notes what becomes of them; each event is said once."""

    def __init__(self, ground: Ground[CaptureSettings]) -> None:
        self._ground = ground

    async def find(self, lead_id: UUID) -> Lead:
        """A lead. Raises `NoSuchLead`."""
        lead = await self._ground.database.read(lambda s: repository.get(s, lead_id))
        if lead is None:
            raise NoSuchLead
        return lead

    async def with_others(self, lead_id: UUID) -> LeadAndOthers:
        """A lead with what its contact asked for besides. Raises `NoSuchLead`."""
        now = self._ground.clock.now()

        def work(session: Session) -> LeadAndOthers:
            lead = repository.get(session, lead_id)
            if lead is None:
                raise NoSuchLead
            others = repository.others_of(session, lead, now) if lead.contact_key else []
            return LeadAndOthers(lead, list(others))

        # beside the loop: leads that profile has not handled yet are looked through
        return await self._ground.database.scan(work)

    async def open(self, lead: Lead, *, verified: bool) -> None:
        """The person opened the resource; `verified`: by the link that was sent to the contact."""
        now = self._ground.clock.now()

        def work(session: Session) -> None:
            said: list[Message] = []
            if verified and repository.mark(session, lead.id, "verified_at", now):
                said.append(self._say(LeadVerified, lead))
            if repository.mark(session, lead.id, "opened_at", now):
                said.append(self._say(LeadOpened, lead))
            outbox.put(session, said, now)

        await self._ground.database.transaction(work)

    def _say(self, kind: type[LeadVerified] | type[LeadOpened], lead: Lead) -> Message:
        event: Event = kind(lead_id=lead.id, bait_id=lead.bait_id, contact_key=lead.contact_key)
        return encode(
            event,
            event_id=derived(kind.kind, lead.id),
            key=lead.contact_key,
            occurred_at=self._ground.clock.now(),
            source="capture",
        )

    async def revoke(self, lead_id: UUID) -> LeadState:
        """Close the link of a lead. Raises `NoSuchLead`."""
        now = self._ground.clock.now()
        await self._ground.database.transaction(
            lambda s: repository.mark(s, lead_id, "revoked_at", now)
        )
        return await self.state(lead_id)

    async def state(self, lead_id: UUID) -> LeadState:
        """What became of a lead. Raises `NoSuchLead`."""
        lead = await self.find(lead_id)
        return LeadState(
            lead_id=str(lead.id),
            bait_id=str(lead.bait_id),
            form_version=lead.version,
            channel=lead.channel,
            accepted_at=lead.accepted_at,
            expires_at=lead.expires_at,
            verified_at=lead.verified_at,
            opened_at=lead.opened_at,
            revoked_at=lead.revoked_at,
            profile_id=str(lead.profile_id) if lead.profile_id else None,
        )

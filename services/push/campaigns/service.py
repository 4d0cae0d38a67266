"""Campaigns: made, edited, moved from state to state, counted."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.push.campaigns import repository
from services.push.campaigns.models import Campaign, CampaignRun
from services.push.campaigns.repository import Count
from services.push.campaigns.schemas import CampaignIn
from services.push.campaigns.states import FINAL, Action, CampaignState, after, check_editable
from services.push.deliveries import halts
from services.push.templates.models import Template
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import FieldError, Invalid, NotFound
from services.shared.http.internal import InternalClient, ServiceUnreachable
from services.shared.ids import Ids
from services.shared.web.versions import check_version

COUNTED_FOR = 2.0
"""Seconds for which counts are kept."""

_FINAL_FOR = 60.0
_KEPT = 500

Neighbours = Any
"""The other services by name; filled after this service was built."""


@dataclass(frozen=True)
class Counts:
    """Where a campaign's members are, as of `at`."""

    campaign: Campaign
    run: CampaignRun | None
    deliveries: tuple[Count, ...]
    skipped: dict[str, int]
    at: datetime

    @property
    def planned(self) -> int:
        """How many deliveries there are."""
        return sum(count.number for count in self.deliveries)

    def of(self, *states: str) -> int:
        """How many deliveries are in one of these states."""
        return sum(count.number for count in self.deliveries if count.state in states)


@dataclass(frozen=True)
class CampaignDesk:
    """What can be done with campaigns. Everything is durable when it returns."""

    database: Database
    clock: Clock
    ids: Ids
    neighbours: Neighbours
    _counted: dict[UUID, tuple[float, Counts]] = field(default_factory=dict)

    async def create(self, wanted: CampaignIn, by: str) -> Campaign:
        """A draft. Raises `Invalid`."""
        await self._check_segment(wanted.segment_id)
        now = self.clock.now()

        def work(session: Session) -> Campaign:
            template = self._template(session, wanted)
            campaign = Campaign(
                id=self.ids.new(),
                version=1,
                channel=template.channel,
                state=CampaignState.DRAFT.value,
                state_at=now,
                state_by=by[:200],
                created_at=now,
                created_by=by[:200],
                **wanted.model_dump(exclude={"channel"}),
            )
            session.add(campaign)
            return campaign

        return await self.database.transaction(work)

    async def edit(
        self, campaign_id: UUID, expected: int | None, wanted: CampaignIn
    ) -> tuple[Campaign, CampaignRun | None]:
        """Change a draft or a paused campaign.

        Raises `Conflict`, `Invalid`, `NotFound`, `PreconditionFailed`.
        """
        await self._check_segment(wanted.segment_id)

        def work(session: Session) -> tuple[Campaign, CampaignRun | None]:
            campaign = _found(repository.find(session, campaign_id, lock=True))
            check_version(expected, campaign.version)
            check_editable(campaign.state)
            template = self._template(session, wanted)
            if campaign.run_id is not None:
                _check_unlocked(campaign, wanted)
            for name, value in wanted.model_dump(exclude={"channel"}).items():
                setattr(campaign, name, value)
            campaign.channel = template.channel
            campaign.version += 1
            if campaign.state == CampaignState.PAUSED:
                campaign.due_at = campaign.until
            session.add(campaign)
            if campaign.run_id is not None:
                repository.retune(session, campaign)
            return campaign, repository.run_of(session, campaign)

        return await self.database.transaction(work)

    async def act(
        self, campaign_id: UUID, action: Action, by: str
    ) -> tuple[Campaign, CampaignRun | None]:
        """Move a campaign on. What is so already stays so. Raises `Conflict`, `Invalid`, `NotFound`."""
        now = self.clock.now()

        def work(session: Session) -> tuple[Campaign, CampaignRun | None]:
            campaign = _found(repository.find(session, campaign_id, lock=True))
            reached = after(action, campaign.state)
            if reached != campaign.state:
                self._move(session, campaign, action, reached, now)
                campaign.state_by = by[:200]
                session.add(campaign)
                session.flush()
            return campaign, repository.run_of(session, campaign)

        moved = await self.database.transaction(work)
        self._counted.pop(campaign_id, None)
        return moved

    def _move(
        self,
        session: Session,
        campaign: Campaign,
        action: Action,
        reached: CampaignState,
        now: datetime,
    ) -> None:
        if action == "schedule":
            _check_start(campaign, now)
            campaign.due_at = campaign.start_at
        elif action == "start":
            self.begin(session, campaign, now)
        elif action == "pause":
            campaign.due_at = campaign.until
            if campaign.run_id is not None:
                halts.pause(session, campaign.id, "campaign_paused", now)
        elif action == "resume":
            reached = self._resume(session, campaign, now)
        elif action == "cancel":
            campaign.due_at = None
            campaign.ended_at = now
            if campaign.run_id is not None:
                halts.cancel(session, campaign.id, "campaign_cancelled", now)
        set_state(campaign, reached, None, now)

    def _resume(self, session: Session, campaign: Campaign, now: datetime) -> CampaignState:
        _check_until(campaign, now)
        if campaign.run_id is not None:
            halts.resume(session, campaign.id, now)
            campaign.due_at = now
            return CampaignState.RUNNING
        if campaign.start_at is not None and campaign.start_at > now:
            campaign.due_at = campaign.start_at
            return CampaignState.SCHEDULED
        self.begin(session, campaign, now)
        return CampaignState.RUNNING

    def begin(self, session: Session, campaign: Campaign, now: datetime) -> None:
        """Open the campaign's run with the template as it is now. Raises `Invalid`."""
        _check_until(campaign, now)
        template = repository.template_of(session, campaign.template_id)
        if template is None or template.kind != "marketing":
            raise Invalid(fields=(FieldError("template_id", "not_marketing"),))
        run = CampaignRun(
            id=self.ids.new(),
            campaign_id=campaign.id,
            number=1,
            template_version_id=template.version_id,
            step=0,
            walk=1,
            members=0,
            skipped={},
            complete=False,
            created_at=now,
        )
        session.add(run)
        campaign.run_id = run.id
        campaign.started_at = now
        campaign.due_at = now

    async def get(self, campaign_id: UUID) -> tuple[Campaign, CampaignRun | None]:
        """A campaign with its run. Raises `NotFound`."""

        def work(session: Session) -> tuple[Campaign, CampaignRun | None]:
            campaign = _found(repository.find(session, campaign_id))
            return campaign, repository.run_of(session, campaign)

        return await self.database.read(work)

    async def listing(
        self, cursor: str | None, limit: int
    ) -> tuple[list[Campaign], dict[UUID, CampaignRun]]:
        """Newest first, one more than `limit` when there are more; and their runs. Raises `Invalid`."""

        def work(session: Session) -> tuple[list[Campaign], dict[UUID, CampaignRun]]:
            found = repository.page(session, cursor, limit)
            return found, repository.runs_of(session, found)

        return await self.database.read(work)

    async def counts(self, campaign_id: UUID) -> Counts:
        """Counts of at most `COUNTED_FOR` seconds ago. Raises `NotFound`."""
        kept = self._counted.get(campaign_id)
        now = self.clock.monotonic()
        if kept is not None and now - kept[0] < _kept_for(kept[1]):
            return kept[1]

        def work(session: Session) -> Counts:
            campaign = _found(repository.find(session, campaign_id))
            run = repository.run_of(session, campaign)
            deliveries = repository.counts(session, campaign_id) if run else []
            skipped = dict(run.skipped) if run else {}
            return Counts(campaign, run, tuple(deliveries), skipped, self.clock.now())

        counted = await self.database.scan(work)
        if len(self._counted) >= _KEPT:
            self._counted.clear()
        self._counted[campaign_id] = (now, counted)
        return counted

    async def _check_segment(self, segment_id: UUID) -> None:
        """Raises `Invalid` for a segment that profile does not know. When it can't say, planning will."""
        profile: InternalClient = self.neighbours["profile"]
        try:
            await profile.get(f"/internal/segments/{segment_id}/members", {"limit": 1})
        except ServiceUnreachable as error:
            if error.status == 404:
                raise Invalid(fields=(FieldError("segment_id", "no_such_thing"),)) from error

    def _template(self, session: Session, wanted: CampaignIn) -> Template:
        template = repository.template_of(session, wanted.template_id)
        if template is None:
            raise Invalid(fields=(FieldError("template_id", "no_such_thing"),))
        if template.kind != "marketing":
            raise Invalid(fields=(FieldError("template_id", "not_marketing"),))
        if wanted.channel is not None and wanted.channel != template.channel:
            raise Invalid(fields=(FieldError("channel", "not_choice", template.channel),))
        return template


def set_state(campaign: Campaign, state: CampaignState, reason: str | None, now: datetime) -> None:
    """Note a new state and why."""
    campaign.state = state.value
    campaign.state_reason = reason
    campaign.state_at = now
    campaign.version += 1


def _kept_for(counts: Counts) -> float:
    closed = counts.campaign.state in FINAL and not counts.of(
        "planned", "held", "claimed", "sending"
    )
    return _FINAL_FOR if closed else COUNTED_FOR


def _found(campaign: Campaign | None) -> Campaign:
    if campaign is None:
        raise NotFound
    return campaign


def _check_start(campaign: Campaign, now: datetime) -> None:
    if campaign.start_at is None:
        raise Invalid(fields=(FieldError("start_at", "required"),))
    if campaign.start_at <= now:
        raise Invalid(fields=(FieldError("start_at", "in_the_past"),))
    _check_until(campaign, now)


def _check_until(campaign: Campaign, now: datetime) -> None:
    if campaign.until is not None and campaign.until <= now:
        raise Invalid(fields=(FieldError("until", "in_the_past"),))


def _check_unlocked(campaign: Campaign, wanted: CampaignIn) -> None:
    """Raises `Invalid` for settings that a begun campaign can't change any more."""
    wrong = [
        FieldError(name, "locked_by_run")
        for name in ("segment_id", "template_id", "start_at")
        if getattr(campaign, name) != getattr(wanted, name)
    ]
    if wrong:
        raise Invalid(fields=tuple(wrong))

"""The planner: walks a campaign's segment page by page and puts each member into the ledger once.

Due campaigns are claimed in the database by a time, by any number of processes. A page's rows, the walk's
cursor and its counts are one transaction, so that a crash at any point neither skips nor doubles a member.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.push.campaigns import repository
from services.push.campaigns.models import Campaign, CampaignRun
from services.push.campaigns.repository import SYSTEM, Member
from services.push.campaigns.service import CampaignDesk, set_state
from services.push.campaigns.states import CampaignState
from services.push.deliveries import halts
from services.push.deliveries.planning import Person, Wish, plan_for
from services.shared.errors import DatabaseUnavailable, Invalid
from services.shared.http.internal import InternalClient, ServiceUnreachable
from services.shared.ids import uuid_of

log = logging.getLogger(__name__)

PAGE = 1000
WALKS = 5
"""How often a segment that changes while it is walked is walked before the campaign goes on or pauses."""

LEASE = timedelta(seconds=15)
_LOOK = timedelta(seconds=1)
_AWAY = timedelta(seconds=2)
_SHORTLY = timedelta(milliseconds=300)
_KNOWN_WITHIN = timedelta(seconds=10)
_GRACE = timedelta(minutes=1)
_IDLE = 0.5


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a segment's members; `count` stands on the last."""

    items: tuple[UUID, ...]
    next: str | None
    count: int | None

    @classmethod
    def of(cls, answer: Any) -> "Page":
        return cls(
            tuple(uuid_of(item.replace("-", "")) for item in answer["items"]),
            answer["next"],
            answer.get("count"),
        )


class Planner:
    """A background task; make one per process.

    `doubt` says why the wall clock can't be believed, `closed` why push may not know whom it may reach; or None.
    """

    def __init__(
        self,
        desk: CampaignDesk,
        *,
        page: int = PAGE,
        doubt: Callable[[], str | None] = lambda: None,
        closed: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._desk = desk
        self._size = page
        self._doubt = doubt
        self._closed = closed
        self._database = desk.database
        self._clock = desk.clock

    async def run(self, stop: asyncio.Event) -> None:
        """Plan what is due until `stop` is set."""
        while not stop.is_set():
            try:
                worked = await self.step()
            except DatabaseUnavailable:
                log.warning("planner waits for the database")
                worked = False
            if not worked:
                await self._clock.wait(stop, _IDLE)

    async def step(self) -> bool:
        """Do the next thing that is due; False when there is none, or when nobody knows what time it is.

        By a clock that is wrong a campaign would begin too early, or would be over for good.
        """
        if self._doubt() is not None:
            return False
        closed = self._closed() is not None
        taken = await self._database.transaction(lambda s: self._take(s, closed=closed))
        if taken is None:
            return False
        campaign, run = taken
        if run is not None and campaign.state == CampaignState.DONE:
            await self._keep_counts(campaign.id, run.id)
        if closed or run is None or run.complete or campaign.state != CampaignState.RUNNING:
            return True
        page = await self._page(campaign, run)
        if page is not None:
            await self._database.transaction(lambda s: self._plan(s, run, page))
        return True

    def _take(
        self, session: Session, *, closed: bool = False
    ) -> tuple[Campaign, CampaignRun | None] | None:
        """Claim the next due campaign and do what needs nobody else.

        While the view of people is `closed` no member is looked up in it: one whose contact has not been
        read yet would be skipped for good.
        """
        now = self._clock.now()
        campaign = repository.take_due(session, now, now + LEASE)
        if campaign is None:
            return None
        run = repository.run_of(session, campaign)
        if campaign.until is not None and campaign.until <= now:
            self._expire(session, campaign, run, now)
        elif campaign.state == CampaignState.SCHEDULED:
            self._begin(session, campaign, now)
        elif campaign.state != CampaignState.RUNNING:
            campaign.due_at = campaign.until
        elif run is None or run.complete:
            self._finish(session, campaign, run, now)
        elif closed:
            campaign.due_at = now + _SHORTLY
        session.add(campaign)
        session.flush()
        return campaign, run

    def _begin(self, session: Session, campaign: Campaign, now: datetime) -> None:
        try:
            self._desk.begin(session, campaign, now)
        except Invalid as error:
            reason = error.fields[0].reason if error.fields else "invalid"
            set_state(campaign, CampaignState.PAUSED, reason, now)
            campaign.due_at = None
        else:
            set_state(campaign, CampaignState.RUNNING, None, now)
        campaign.state_by = SYSTEM

    def _expire(
        self, session: Session, campaign: Campaign, run: CampaignRun | None, now: datetime
    ) -> None:
        """The campaign's time is over: nothing more is planned, what waits is dropped."""
        if campaign.state_reason != "campaign_ended":
            paused = campaign.state == CampaignState.PAUSED
            set_state(campaign, CampaignState.RUNNING, "campaign_ended", now)
            campaign.state_by = SYSTEM
        else:
            paused = False
        # what is due by its own end drops with the reason it waited for; the rest is not waited for long
        late = campaign.until is not None and now - campaign.until > _GRACE
        if run is not None and (paused or late):
            halted = halts.halts(session).get(campaign.id)
            if halted is None or halted.state != "cancelled":
                halts.cancel(session, campaign.id, "campaign_ended", now)
        if run is not None and not run.complete:
            repository.step(session, run, complete=True, completed_at=now)
            session.refresh(run)
        self._finish(session, campaign, run, now)

    def _finish(
        self, session: Session, campaign: Campaign, run: CampaignRun | None, now: datetime
    ) -> None:
        """Done, once planning is complete and nothing waits any more."""
        if run is not None and repository.has_open(session, campaign.id):
            campaign.due_at = now + _LOOK
            return
        set_state(campaign, CampaignState.DONE, campaign.state_reason, now)
        campaign.state_by = SYSTEM
        campaign.ended_at = now
        campaign.due_at = None

    async def _keep_counts(self, campaign_id: UUID, run_id: UUID) -> None:
        """Lists show finished campaigns without counting them again."""
        counts = await self._database.scan(lambda s: repository.counts(s, campaign_id))
        await self._database.transaction(lambda s: repository.keep_final(s, run_id, counts))

    async def _page(self, campaign: Campaign, run: CampaignRun) -> Page | None:
        """The next page of members; None when profile can't say now."""
        profile: InternalClient = self._desk.neighbours["profile"]
        parameters: dict[str, Any] = {"limit": self._size}
        if run.cursor is not None:
            parameters["after"] = run.cursor
        path = f"/internal/segments/{campaign.segment_id}/members"
        try:
            return Page.of(await profile.get(path, parameters))
        except ServiceUnreachable as error:
            missing = error.status == 404
            log.warning("planner can't read a segment: %s", error.status or "no answer")
        except (AttributeError, KeyError, TypeError, ValueError):
            missing = False
            log.error("planner can't read a page of members")
        await self._database.transaction(lambda s: self._wait(s, campaign.id, missing))
        return None

    def _wait(self, session: Session, campaign_id: UUID, missing: bool) -> None:
        now = self._clock.now()
        campaign = repository.find(session, campaign_id, lock=True)
        if campaign is None or campaign.state != CampaignState.RUNNING:
            return
        if missing:
            self._give_up(session, campaign, "segment_missing", now)
        else:
            campaign.due_at = now + _AWAY
            campaign.state_reason = "members_unavailable"
        session.add(campaign)

    def _give_up(self, session: Session, campaign: Campaign, reason: str, now: datetime) -> None:
        halts.pause(session, campaign.id, reason, now)
        set_state(campaign, CampaignState.PAUSED, reason, now)
        campaign.state_by = SYSTEM
        campaign.due_at = campaign.until

    def _plan(self, session: Session, run: CampaignRun, page: Page) -> None:
        """Write one page. Nothing happens when the campaign moved on or somebody else wrote it."""
        now = self._clock.now()
        campaign = repository.find(session, run.campaign_id, lock=True)
        if campaign is None or campaign.state != CampaignState.RUNNING:
            return
        if repository.step_of(session, run.id) != run.step:
            return
        session.add(campaign)
        found = self._write(session, campaign, run, page.items, now)
        if "not_known" in found and not _waited(run, now):
            campaign.due_at = now + _SHORTLY
            repository.step(session, run, waiting_since=run.waiting_since or now)
            return
        skipped = Counter(run.skipped) + found
        campaign.due_at = now
        if campaign.state_reason == "members_unavailable":
            campaign.state_reason = None
        walked = run.members + len(page.items)
        changes = {"members": walked, "skipped": dict(skipped), "cursor": page.next}
        if page.next is None and _agrees(page.count, walked, run.walk):
            changes |= {"complete": True, "completed_at": now}
            campaign.state_reason = None
        elif page.next is None:
            changes |= {"members": 0, "skipped": {}}
            changes["walk"] = self._walk_again(session, campaign, run, now)
        repository.step(session, run, waiting_since=None, **changes)

    def _walk_again(
        self, session: Session, campaign: Campaign, run: CampaignRun, now: datetime
    ) -> int:
        """The segment changed while it was walked: who joined behind the cursor is met the next time."""
        if run.walk >= WALKS:
            self._give_up(session, campaign, "segment_changes", now)
            return 1
        campaign.due_at = now + _LOOK * run.walk
        campaign.state_reason = "segment_changes"
        return run.walk + 1

    def _write(
        self,
        session: Session,
        campaign: Campaign,
        run: CampaignRun,
        page: Sequence[UUID],
        now: datetime,
    ) -> Counter[str]:
        """Put members into the ledger; how many are not put there, by reason."""
        wish = Wish(
            cause_kind="campaign",
            cause_id=str(run.id),
            contact_key="",
            channel=campaign.channel,
            language="",
            marketing=True,
            template_version_id=run.template_version_id,
            campaign_id=campaign.id,
            capped=campaign.capped,
            priority=campaign.priority,
            expires_at=campaign.until,
        )
        if repository.plan_members(session, wish, page, self._desk.ids, now) == len(page):
            return Counter()
        planned = repository.planned_already(session, run.id, page)
        left = [member_id for member_id in page if member_id not in planned]
        people, skipped = choose(repository.members(session, left, campaign.channel), page)
        if plan_for(session, wish, people, self._desk.ids, now) < len(people):
            ids = {person.profile_id for person in people}
            shared = len(ids - repository.planned_already(session, run.id, sorted(ids)))
            skipped += Counter(shared_contact=shared)
        return skipped


def _agrees(count: int | None, walked: int, walk: int) -> bool:
    """Whether the count on the last page says that nobody was missed.

    A busy segment changes with every walk: the last one is good enough when it is right within a
    hundredth, for who joined since might as well have joined a moment later.
    """
    if count is None:
        return False
    return count == walked or (walk >= WALKS and abs(count - walked) * 100 <= walked)


def _waited(run: CampaignRun, now: datetime) -> bool:
    """Whether members that push does not know yet have had their time to become known."""
    return run.waiting_since is not None and now - run.waiting_since > _KNOWN_WITHIN


def choose(rows: Iterable[Member], page: Collection[UUID]) -> tuple[list[Person], Counter[str]]:
    """Of members that are not planned: how those are reached who can be, and why not the others.

    They are reached through the profile that they were merged into, unless it is a member of the page itself.
    """
    people: dict[UUID, Person] = {}
    skipped: Counter[str] = Counter()
    others = frozenset(page)
    for row in rows:
        if row.profile_id is None:
            skipped["not_known"] += 1
        elif row.erased_at is not None:
            skipped["erased"] += 1
        elif row.contact_key is None:
            skipped["no_contact"] += 1
        elif row.profile_id in people or row.profile_id in others - {row.member_id}:
            skipped["merged"] += 1
        else:
            people[row.profile_id] = Person(row.contact_key, str(row.language), row.profile_id)
    return list(people.values()), skipped

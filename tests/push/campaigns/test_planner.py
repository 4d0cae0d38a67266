"""The planner accounts for every member once, whatever happens between its steps."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete
from sqlmodel import Session

from services.push.campaigns.planner import LEASE, WALKS, Planner
from services.push.campaigns.service import CampaignDesk
from services.push.reach.models import ReachProfile
from services.push.reach.repository import CONTACTS
from services.shared.ids import derived
from tests.push.campaigns.conftest import Stage, contact


class TestAWalk:
    async def test_plans_every_member_once(self, either: Stage) -> None:
        people = await either.people(*range(40))
        campaign_id = await either.started(priority=3, capped=False)
        await either.steps(10)
        rows = await either.rows()
        assert [row.profile_id for row in rows] == sorted(people)
        run = await either.run(campaign_id)
        assert (run.complete, run.members, run.skipped) == (True, 40, {})
        row = rows[0]
        assert (row.cause_kind, row.cause_id) == ("campaign", str(run.id))
        assert (row.campaign_id, row.channel, row.state) == (campaign_id, "email", "planned")
        assert (row.priority, row.capped, row.marketing, row.language) == (3, False, True, "zh-CN")
        assert row.template_version_id == run.template_version_id

    async def test_an_empty_segment_is_done_at_once(self, either: Stage) -> None:
        campaign_id = await either.started()
        await either.steps(10)
        campaign, run = await either.look(campaign_id)
        assert campaign.state == "done"
        assert run is not None
        assert run.complete

    async def test_is_done_only_when_nothing_waits(self, either: Stage) -> None:
        await either.people(*range(10))
        campaign_id = await either.started()
        for state in ("planned", "held", "claimed", "sending"):
            await either.finish_rows(state)
            await either.steps(12)
            assert (await either.look(campaign_id))[0].state == "running", state
        await either.finish_rows("sent")
        await either.steps(12)
        campaign, run = await either.look(campaign_id)
        assert campaign.state == "done"
        assert campaign.ended_at is not None
        assert run is not None
        assert run.final == [["sent", None, 10]]

    async def test_says_why_members_get_nothing(self, either: Stage) -> None:
        await either.people(1, 2)
        await either.people(3, contacts=("phone",))
        await either.people(4, contacts=())
        (erased, alias, sharer) = await either.people(5, 6, 7)

        def work(session: Session) -> None:
            gone = session.get(ReachProfile, erased)
            same = session.get(ReachProfile, alias)
            assert gone is not None
            assert same is not None
            gone.erased_at = either.clock.now()
            same.alias_of = derived("person", 1)
            session.add_all([gone, same, contact(derived("person", 8), "email", "7")])
            session.add(ReachProfile(id=derived("person", 8), revision=1, language="en", fields={}))

        await either.database.transaction(work)
        either.profile.members.add(derived("person", 8))
        campaign_id = await either.started()
        await either.steps(20)
        run = await either.run(campaign_id)
        assert run.members == 8
        # who shares an inbox with somebody gets no second mail, whichever of the two was first
        assert run.skipped["no_contact"] == 2
        assert run.skipped["erased"] == 1
        assert run.skipped["shared_contact"] == 1
        assert sum(run.skipped.values()) + len(await either.rows()) == 8
        assert sharer in await either.planned() or derived("person", 8) in await either.planned()

    async def test_takes_the_contact_with_consent(self, stage: Stage) -> None:
        (person,) = await stage.people(1, contacts=())
        await stage.database.transaction(
            lambda s: s.add_all(
                [
                    contact(person, "email", "a", marketing=False),
                    contact(person, "email", "b", verified_at=stage.clock.now()),
                    contact(person, "email", "c", marketing=None),
                    contact(person, "phone", "d"),
                ]
            )
        )
        await stage.started()
        await stage.steps(5)
        assert [row.contact_key for row in await stage.rows()] == ["email-b"]


class _Crash(Exception):
    pass


class CrashingDatabase:
    """Breaks off at one transaction: before it is committed, or just after."""

    def __init__(self, inner: Any, at: int, after_commit: bool) -> None:
        self._inner = inner
        self._left = at
        self._after = after_commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def transaction(self, work: Callable[[Session], Any]) -> Any:
        self._left -= 1
        if self._left == 0 and not self._after:

            def broken(session: Session) -> None:
                work(session)
                raise _Crash

            await self._inner.transaction(broken)
        result = await self._inner.transaction(work)
        if self._left == 0:
            raise _Crash
        return result


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize("at", range(1, 14, 2))
async def test_a_crash_neither_skips_nor_doubles(stage: Stage, at: int, after_commit: bool) -> None:
    people = await stage.people(*range(30))
    campaign_id = await stage.started()
    desk = stage.desk
    broken = CrashingDatabase(stage.database, at, after_commit)
    crashing = Planner(CampaignDesk(broken, desk.clock, desk.ids, desk.neighbours), page=7)
    with pytest.raises(_Crash):
        await crashing.run(asyncio.Event())
    stage.clock.advance(LEASE)
    await stage.steps(30)
    assert await stage.planned() == sorted(people)
    run = await stage.run(campaign_id)
    assert (run.complete, run.members, run.walk) == (True, 30, 1)


async def test_two_planners_share_the_work(either: Stage) -> None:
    people = await either.people(*range(60))
    ids = [await either.started(name=f"c{number}") for number in range(3)]
    stop = asyncio.Event()
    loops = [asyncio.create_task(either.planner().run(stop)) for _ in range(2)]
    async with asyncio.timeout(60):
        for id_ in ids:
            while not (await either.run(id_)).complete:
                await either.clock.sleep(0.01)
    stop.set()
    await asyncio.gather(*loops)
    assert await either.planned() == sorted(people * 3)
    assert [(await either.run(id_)).members for id_ in ids] == [60] * 3


async def test_the_same_page_twice_is_written_once(either: Stage) -> None:
    """A planner that was thought dead comes back with a page that another has written since."""
    people = await either.people(*range(20))
    campaign_id = await either.started()
    slow = either.planner()
    taken = await either.database.transaction(slow._take)
    assert taken is not None
    campaign, run = taken
    assert run is not None
    page = await slow._page(campaign, run)
    either.clock.advance(LEASE * 2)
    await either.steps(2)
    await either.database.transaction(lambda s: slow._plan(s, run, page))  # type: ignore[arg-type]
    await either.steps(10)
    assert await either.planned() == sorted(people)
    assert (await either.run(campaign_id)).members == 20


class TestAChangingSegment:
    async def test_meets_who_joined_behind_the_cursor(self, either: Stage) -> None:
        people = await either.people(*range(30))
        late = min(people)
        either.profile.members.discard(late)
        either.profile.live_count = True

        def join(call: int) -> None:
            if call == 4:
                either.profile.members.add(late)

        either.profile.before_page = join
        campaign_id = await either.started()
        await either.steps(30)
        run = await either.run(campaign_id)
        assert (run.complete, run.walk, run.members) == (True, 2, 30)
        assert await either.planned() == sorted(people)
        assert run.skipped == {}

    async def test_that_changes_a_little_with_every_walk_is_planned(self, stage: Stage) -> None:
        people = await stage.people(*range(110))
        first = min(people)
        stage.profile.live_count = True
        pages = -(-109 // 7)

        def flicker(call: int) -> None:
            # not there when its page is read, there when all are counted
            if (call - 2) % pages == 0:
                stage.profile.members.discard(first)
            else:
                stage.profile.members.add(first)

        stage.profile.before_page = flicker
        campaign_id = await stage.started()
        await stage.steps(WALKS * pages + 60)
        campaign, run = await stage.look(campaign_id)
        assert run is not None
        assert (run.complete, run.walk, campaign.state_reason) == (True, WALKS, None)
        assert await stage.planned() == sorted(people)[1:]

    async def test_that_never_settles_pauses_the_campaign(self, stage: Stage) -> None:
        people = await stage.people(*range(20))
        first = min(people)
        stage.profile.live_count = True

        def flicker(call: int) -> None:
            # not there when its page is read, there when it is counted
            stage.profile.members.discard(first)
            if call > 1 and (call - 2) % 3 == 2:
                stage.profile.members.add(first)

        stage.profile.before_page = flicker
        campaign_id = await stage.started()
        await stage.steps(3 * WALKS + 60)
        campaign, run = await stage.look(campaign_id)
        assert (campaign.state, campaign.state_reason) == ("paused", "segment_changes")
        assert run is not None
        assert not run.complete
        stage.profile.before_page = lambda _call: None
        stage.profile.members.add(first)
        await stage.desk.act(campaign_id, "resume", "Li")
        await stage.steps(20)
        assert (await stage.run(campaign_id)).complete
        assert await stage.planned() == sorted(people)


class TestAMemberUnknownToPush:
    async def test_is_waited_for(self, stage: Stage) -> None:
        await stage.people(1, 2)
        stage.profile.members.add(derived("person", 3))
        campaign_id = await stage.started()
        await stage.steps(3)
        assert not (await stage.run(campaign_id)).complete
        people = await stage.people(3)
        await stage.steps(3)
        assert (await stage.run(campaign_id)).complete
        assert people[0] in await stage.planned()

    async def test_is_counted_when_it_never_comes(self, stage: Stage) -> None:
        await stage.people(1, 2)
        stage.profile.members.add(derived("person", 3))
        campaign_id = await stage.started()
        await stage.steps(40)
        run = await stage.run(campaign_id)
        assert (run.complete, run.members, run.skipped) == (True, 3, {"not_known": 1})
        assert len(await stage.rows()) == 2


class TestProfileAway:
    async def test_planning_waits_and_says_so(self, stage: Stage) -> None:
        people = await stage.people(*range(10))
        campaign_id = await stage.started()
        stage.profile.status = 503
        await stage.steps(5)
        campaign, _ = await stage.look(campaign_id)
        assert (campaign.state, campaign.state_reason) == ("running", "members_unavailable")
        stage.profile.status = 200
        await stage.steps(10)
        campaign, run = await stage.look(campaign_id)
        assert campaign.state_reason is None
        assert run is not None
        assert run.complete
        assert await stage.planned() == sorted(people)

    async def test_a_segment_that_is_gone_pauses_the_campaign(self, stage: Stage) -> None:
        campaign_id = await stage.started()
        stage.profile.status = 404
        await stage.steps(3)
        campaign, _ = await stage.look(campaign_id)
        assert (campaign.state, campaign.state_reason) == ("paused", "segment_missing")


class TestWhileItIsPlanned:
    async def test_a_pause_stops_planning_at_once(self, either: Stage) -> None:
        people = await either.people(*range(30))
        campaign_id = await either.started()
        planner = either.planner()
        await planner.step()
        before = await either.planned()
        assert 0 < len(before) < 30
        await either.desk.act(campaign_id, "pause", "Li")
        await either.steps(10)
        assert await either.planned() == before
        assert await either.halted() == {campaign_id: "paused"}
        await either.desk.act(campaign_id, "resume", "Li")
        await either.steps(20)
        assert await either.planned() == sorted(people)

    async def test_a_page_that_was_read_before_the_pause_is_not_written(
        self, either: Stage
    ) -> None:
        await either.people(*range(30))
        campaign_id = await either.started()
        planner = either.planner()
        taken = await either.database.transaction(planner._take)
        assert taken is not None
        campaign, run = taken
        assert run is not None
        page = await planner._page(campaign, run)
        assert page is not None
        await either.desk.act(campaign_id, "cancel", "Li")
        await either.database.transaction(lambda s: planner._plan(s, run, page))
        assert await either.planned() == []

    async def test_the_end_of_its_time_drops_what_waits(self, either: Stage) -> None:
        await either.people(*range(30))
        campaign_id = await either.started(until=either.clock.now() + timedelta(hours=1))
        await either.planner().step()
        either.clock.advance(timedelta(hours=1))
        await either.steps(5)
        campaign, run = await either.look(campaign_id)
        assert (campaign.state, campaign.state_reason) == ("running", "campaign_ended")
        assert run is not None
        assert run.complete
        assert len(await either.planned()) == 7
        # they have a minute to drop for the reason that they wait for
        assert await either.halted() == {}
        either.clock.advance(timedelta(minutes=1))
        await either.steps(2)
        assert await either.halted() == {campaign_id: "cancelled"}
        await either.finish_rows("dropped", "campaign_ended")
        await either.steps(5)
        campaign, _ = await either.look(campaign_id)
        assert (campaign.state, campaign.state_reason) == ("done", "campaign_ended")

    async def test_the_end_of_its_time_ends_a_pause(self, stage: Stage) -> None:
        await stage.people(*range(3))
        campaign_id = await stage.started(until=stage.clock.now() + timedelta(hours=1))
        await stage.steps(5)
        await stage.desk.act(campaign_id, "pause", "Li")
        stage.clock.advance(timedelta(hours=1))
        await stage.steps(2)
        assert await stage.halted() == {campaign_id: "cancelled"}
        await stage.finish_rows("dropped", "campaign_cancelled")
        await stage.steps(3)
        assert (await stage.look(campaign_id))[0].state == "done"


class TestASchedule:
    async def test_starts_at_its_time_and_not_before(self, either: Stage) -> None:
        await either.people(1)
        campaign = await either.campaign(start_at=either.clock.now() + timedelta(hours=1))
        await either.desk.act(campaign.id, "schedule", "Li")
        assert not await either.planner().step()
        either.clock.advance(timedelta(hours=1))
        await either.steps(5)
        found, run = await either.look(campaign.id)
        assert (found.state, found.state_by) == ("running", "system")
        assert run is not None
        assert run.complete

    async def test_nothing_begins_or_ends_by_a_clock_in_doubt(self, stage: Stage) -> None:
        await stage.people(1)
        now = stage.clock.now()
        campaign = await stage.campaign(
            start_at=now + timedelta(hours=1), until=now + timedelta(hours=2)
        )
        await stage.desk.act(campaign.id, "schedule", "Li")
        stage.clock.advance(timedelta(hours=3))
        doubting = Planner(stage.desk, doubt=lambda: "clock_jumped")
        assert not await doubting.step()
        found, run = await stage.look(campaign.id)
        assert (found.state, run) == ("scheduled", None)

    async def test_nobody_is_skipped_while_push_does_not_know_whom_it_may_reach(
        self, stage: Stage
    ) -> None:
        """As after `rebuild reach`: people are there, and their contacts are still to be read again."""
        ids = await stage.people(1, 2)
        await stage.database.transaction(lambda s: s.execute(delete(CONTACTS)))
        campaign_id = await stage.started()
        closed: list[str | None] = ["view_too_old"]
        planner = Planner(stage.desk, closed=lambda: closed[0])
        for _ in range(5):
            await planner.step()
            stage.clock.advance(timedelta(seconds=1))
        run = await stage.run(campaign_id)
        assert (run.complete, run.members) == (False, 0)
        contacts = [contact(id_, "email", f"{number}") for number, id_ in enumerate(ids)]
        await stage.database.transaction(lambda s: s.add_all(contacts))
        closed[0] = None
        for _ in range(5):
            await planner.step()
            stage.clock.advance(timedelta(seconds=1))
        assert len(await stage.rows()) == 2
        assert (await stage.run(campaign_id)).skipped == {}

    async def test_over_while_nobody_ran_is_done_without_a_mail(self, stage: Stage) -> None:
        await stage.people(1)
        now = stage.clock.now()
        campaign = await stage.campaign(
            start_at=now + timedelta(hours=1), until=now + timedelta(hours=2)
        )
        await stage.desk.act(campaign.id, "schedule", "Li")
        stage.clock.advance(timedelta(hours=3))
        await stage.steps(5)
        found, _ = await stage.look(campaign.id)
        assert (found.state, found.state_reason) == ("done", "campaign_ended")
        assert await stage.rows() == []

"""What events do to people, on both databases."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from services.profile.consent.models import ConsentEntry
from services.profile.leads.models import HandledLead, WaitingNote
from services.profile.people.models import FieldValue, MergeCandidate, Profile, ProfileContact
from services.profile.timeline.models import EngagementFact, TimelineEntry
from services.shared.clock import SystemClock
from services.shared.contact import Channel
from services.shared.database.postgres import PostgresDatabase
from services.shared.events.engagements import (
    EngagementClicked,
    EngagementConverted,
    EngagementUnsubscribed,
)
from services.shared.events.leads import LeadOpened
from services.shared.events.parts import CausePart
from services.shared.events.profiles import ProfileChanged, ProfileLeadAccepted
from services.shared.events.push import PushSent
from services.shared.ids import derived
from tests.profile.bench import Bench, open_bench


def clicked(bench: Bench, address: str, **changes: object) -> EngagementClicked:
    return EngagementClicked(
        **{
            "engagement_id": bench.ground.ids.new(),
            "contact_key": bench.contact(address).contact_key,
            "channel": "email",
            "link": 1,
            "url": "https://shop.example/",
            **changes,
        }
    )


def unsubscribed(
    bench: Bench, address: str, channel: str | None = "email"
) -> EngagementUnsubscribed:
    return EngagementUnsubscribed(
        engagement_id=bench.ground.ids.new(),
        contact_key=bench.contact(address).contact_key,
        channel=channel,
        way="one_click",
    )


def sent(bench: Bench, address: str, cause: str = "lead") -> PushSent:
    return PushSent(
        delivery_id=bench.ground.ids.new(),
        cause=CausePart(kind=cause, id="1"),
        contact_key=bench.contact(address).contact_key,
        channel="email",
    )


def order(bench: Bench, address: str, number: str, state: str = "paid") -> EngagementConverted:
    return EngagementConverted(
        engagement_id=bench.ground.ids.new(),
        contact_key=bench.contact(address).contact_key,
        source="shop",
        order_id=number,
        state=state,
        amount=1999,
        currency="CNY",
    )


class TestLeads:
    async def test_a_new_person_is_said_whole(self, both: Bench) -> None:
        lead = both.lead(
            "Li.Hua@Example.com",
            both.contact("138 0013 8000", Channel.PHONE),
            fields={"city": "上海", "age": 30},
            field_types={"city": "text", "age": "integer"},
            tags=("vip", "autumn"),
            consent=True,
        )
        await both.feed(lead)
        (changed,) = [e for e in await both.said(keep=True) if isinstance(e, ProfileChanged)]
        (accepted,) = [e for e in await both.said() if isinstance(e, ProfileLeadAccepted)]
        state = changed.state
        assert state.revision == 1
        assert [c.channel for c in state.contacts] == ["email", "phone"]
        assert state.contacts[0].address == "Li.Hua@example.com"
        assert state.contacts[0].verified_at is None
        assert state.fields == {"city": "上海", "age": 30}
        assert state.tags == ("autumn", "vip")
        assert state.timezone == "Asia/Shanghai"
        assert [(c.purpose, c.given, c.contact_key) for c in state.consents] == [
            ("marketing", True, lead.contacts[0].contact_key)
        ]
        assert accepted.new
        assert accepted.profile_id == state.profile_id

    async def test_the_same_person_again_is_one_more_entry(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example"), both.lead("A@SHOP.example"))
        await both.feed(both.lead("a@shop.example", tags=("late",)))
        assert await both.count(Profile) == 1
        assert await both.count(TimelineEntry) == 3
        states = await both.states()
        assert [s.revision for s in states] == [1, 2]
        assert states[-1].tags == ("late",)
        assert (await both.rows(Profile))[0]["lead_count"] == 3

    async def test_a_lead_that_is_told_twice_counts_once(self, both: Bench) -> None:
        lead = both.lead("a@shop.example", consent=True)
        told = both.received(lead, name="one")
        await both.feed(told, told)
        await both.said()
        await both.feed(both.received(lead, name="again"))
        assert await both.said() == []
        assert await both.count(TimelineEntry) == 1
        assert await both.count(HandledLead) == 1
        assert await both.count(ConsentEntry) == 1

    async def test_ids_follow_from_what_caused_them(self, tmp_path: Path) -> None:
        said = []
        for name in ("one", "two"):
            async with open_bench(tmp_path / name) as bench:
                part = bench.contact("a@shop.example")
                lead = bench.lead(part, lead_id=UUID(int=7))
                await bench.feed(bench.received(lead, name="same"))
                said.append(await bench.said())
        assert said[0] == said[1]

    async def test_contacts_of_two_people_go_to_the_owner_of_the_first(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead("a@shop.example"), both.lead(phone))
        first, second = await both.states()
        await both.feed(both.lead(phone, "a@shop.example"))
        (accepted,) = [e for e in await both.said() if isinstance(e, ProfileLeadAccepted)]
        assert accepted.profile_id == second.profile_id
        assert not accepted.new
        (candidate,) = await both.rows(MergeCandidate)
        assert candidate["profile_id"] == second.profile_id
        assert candidate["other_id"] == first.profile_id
        assert await both.count(Profile) == 2

    async def test_a_known_second_contact_brings_the_first_to_its_owner(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead(phone))
        both.clock.advance(1)
        await both.feed(both.lead("new@shop.example", phone))
        assert await both.count(Profile) == 1
        assert [c.channel for c in (await both.states())[-1].contacts] == ["phone", "email"]

    async def test_the_newest_value_counts_and_each_source_keeps_its_latest(
        self, both: Bench
    ) -> None:
        types = {"city": "text"}
        now = both.clock.now()
        newer = both.lead("a@shop.example", fields={"city": "北京"}, field_types=types)
        older = both.lead(
            "a@shop.example", fields={"city": "上海"}, field_types=types, bait_slug="autumn"
        )
        await both.feed(both.received(newer, at=now))
        await both.feed(both.received(older, at=now - timedelta(days=1)))
        values = {r["source"]: (r["value"], r["newest"]) for r in await both.rows(FieldValue)}
        assert values == {"bait:welcome": ("北京", True), "bait:autumn": ("上海", False)}
        assert (await both.states())[-1].fields == {"city": "北京"}

    async def test_a_said_time_zone_beats_the_phone(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead(phone, fields={"timezone": "Europe/Berlin"}))
        assert (await both.states())[0].timezone == "Europe/Berlin"

    @pytest.mark.parametrize(
        ("number", "zone"),
        [("+81 3 3210 7000", "Asia/Tokyo"), ("+1 212 555 2368", "America/New_York")],
    )
    async def test_a_phone_tells_the_zone(self, bench: Bench, number: str, zone: str) -> None:
        await bench.feed(bench.lead(bench.contact(number, Channel.PHONE)))
        assert (await bench.states())[0].timezone == zone


class TestVerified:
    async def test_marks_the_contact(self, both: Bench) -> None:
        lead = both.lead("a@shop.example", consent=True)
        await both.feed(lead, both.verified(lead))
        (state,) = await both.states()
        assert state.contacts[0].verified_at == both.clock.now()

    async def test_before_its_lead_is_kept_until_the_lead_comes(self, both: Bench) -> None:
        lead = both.lead("a@shop.example")
        early = both.verified(lead)
        opened = LeadOpened(**early.model_dump())
        await both.feed(early, opened)
        assert await both.count(WaitingNote) == 2
        assert await both.said() == []
        await both.feed(lead)
        (state,) = await both.states()
        assert state.contacts[0].verified_at is not None
        assert await both.count(WaitingNote) == 0
        assert await both.count(TimelineEntry) == 3
        (fact,) = await both.rows(EngagementFact)
        assert fact["kind"] == "opened"

    async def test_once_more_changes_nothing(self, both: Bench) -> None:
        lead = both.lead("a@shop.example")
        await both.feed(lead, both.received(both.verified(lead), name="v"))
        await both.said()
        await both.feed(both.received(both.verified(lead), name="v"))
        assert await both.said() == []
        assert await both.count(TimelineEntry) == 2


class TestLeaving:
    async def test_unsubscribed_withdraws_with_proof(self, both: Bench) -> None:
        lead = both.lead("a@shop.example", consent=True)
        await both.feed(lead, both.verified(lead))
        await both.feed(unsubscribed(both, "a@shop.example"))
        state = (await both.states())[-1]
        assert [c.given for c in state.consents] == [False]
        entries = sorted(await both.rows(ConsentEntry), key=lambda r: r["given"])
        assert entries[0]["source"] == "unsubscribe:one_click"
        assert entries[0]["proof"]["way"] == "one_click"
        assert entries[1]["proof"]["form_version"] == 1

    async def test_without_a_channel_it_is_that_of_the_contact(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead("a@shop.example", phone))
        await both.feed(unsubscribed(both, "a@shop.example", channel=None))
        state = (await both.states())[-1]
        assert {c.channel: c.given for c in state.consents} == {"email": False}

    async def test_without_channel_and_contact_it_is_every_channel(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead("a@shop.example", phone))
        (person,) = await both.states()
        leaving = EngagementUnsubscribed(
            engagement_id=both.ground.ids.new(), profile_id=person.profile_id, way="reported"
        )
        told = both.received(leaving, name="leaving")
        await both.feed(told)
        state = (await both.states())[-1]
        assert {c.channel: c.given for c in state.consents} == {"email": False, "phone": False}
        await both.feed(told)
        assert await both.said() == []

    async def test_who_left_stays_away_until_a_verified_lead(self, both: Bench) -> None:
        first = both.lead("a@shop.example", consent=True)
        await both.feed(first, both.verified(first), unsubscribed(both, "a@shop.example"))
        both.clock.advance(60)
        again = both.lead("a@shop.example", consent=True)
        await both.feed(again)
        assert [c.given for c in (await both.states())[-1].consents] == [False]
        both.clock.advance(60)
        await both.feed(both.verified(again))
        state = (await both.states())[-1]
        assert [c.given for c in state.consents] == [True]
        # push takes nobody off its list for a verification that is older than the consent
        assert [c.verified_at for c in state.contacts] == [state.consents[0].at]
        assert [row["verified_at"] for row in await both.rows(ProfileContact)] == [
            state.consents[0].at
        ]
        assert all(row["effective"] for row in await both.rows(ConsentEntry))

    async def test_a_replayed_unsubscribe_does_not_undo_a_later_consent(self, both: Bench) -> None:
        first = both.lead("a@shop.example", consent=True)
        leaving = both.received(unsubscribed(both, "a@shop.example"), name="leaving")
        await both.feed(first, leaving)
        both.clock.advance(60)
        again = both.lead("a@shop.example", consent=True)
        await both.feed(again, both.verified(again))
        await both.said()
        await both.feed(leaving)
        assert await both.said() == []

    async def test_an_unticked_box_withdraws_nothing(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example", consent=True))
        both.clock.advance(60)
        refused = both.lead("a@shop.example", consents=(both.consent(given=False),))
        await both.feed(refused)
        assert await both.count(ConsentEntry) == 2
        await both.feed(both.lead("a@shop.example", tags=("x",)))
        assert [c.given for c in (await both.states())[-1].consents] == [True]

    async def test_a_second_address_does_not_bring_back_who_left(self, both: Bench) -> None:
        phone = both.contact("13800138000", Channel.PHONE)
        await both.feed(both.lead("a@shop.example", phone, consent=True))
        await both.feed(unsubscribed(both, "a@shop.example"))
        both.clock.advance(60)
        await both.feed(both.lead("b@shop.example", phone, consent=True))
        assert not any(c.given for c in (await both.states())[-1].consents)


class TestNotes:
    async def test_outcomes_and_clicks_stand_on_the_timeline(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example"))
        await both.said()
        await both.feed(sent(both, "a@shop.example"), clicked(both, "a@shop.example"))
        kinds = sorted(row["kind"] for row in await both.rows(TimelineEntry))
        assert kinds == ["engagement.clicked", "lead.submitted", "push.sent"]
        assert await both.said() == []
        assert [row["kind"] for row in await both.rows(EngagementFact)] == ["clicked"]

    @pytest.mark.parametrize("together", [True, False])
    async def test_a_click_that_turns_out_a_machines_is_taken_back(
        self, both: Bench, together: bool
    ) -> None:
        await both.feed(both.lead("a@shop.example"))
        robot, person = clicked(both, "a@shop.example"), clicked(both, "a@shop.example")
        told = [
            both.received(click)._replace(id=derived(click.kind, click.engagement_id, "event"))
            for click in (robot, person)
        ]
        correction = both.received(robot.model_copy(update={"machine": True, "reclassified": True}))
        if together:
            await both.feed(*told, correction)
        else:
            await both.feed(*told)
            await both.feed(correction)
        kept = [r for r in await both.rows(TimelineEntry) if r["kind"] == "engagement.clicked"]
        assert [row["event_id"] for row in kept] == [told[1].id]
        assert [row["fact_id"] for row in await both.rows(EngagementFact)] == [told[1].id]

    async def test_a_click_is_taken_back_also_while_it_waits_for_its_person(
        self, both: Bench
    ) -> None:
        robot = clicked(both, "a@shop.example")
        told = both.received(robot)
        told = told._replace(id=derived(robot.kind, robot.engagement_id, "event"))
        await both.feed(told)
        await both.feed(robot.model_copy(update={"machine": True, "reclassified": True}))
        await both.feed(both.lead("a@shop.example"))
        assert await both.rows(EngagementFact) == []
        assert await both.count(TimelineEntry) == 1

    async def test_machines_are_no_behaviour(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example"))
        await both.feed(clicked(both, "a@shop.example", machine=True, machine_reason="agent"))
        assert await both.count(EngagementFact) == 0
        assert await both.count(TimelineEntry) == 1

    async def test_mail_to_staff_belongs_to_nobody(self, both: Bench) -> None:
        await both.feed(sent(both, "staff@shop.example", cause="notice"))
        assert await both.count(WaitingNote) == 0

    async def test_an_outcome_before_its_lead_waits(self, both: Bench) -> None:
        await both.feed(sent(both, "a@shop.example"))
        assert await both.count(TimelineEntry) == 0
        await both.feed(both.lead("a@shop.example"))
        assert await both.count(TimelineEntry) == 2

    async def test_an_event_without_contact_goes_to_the_profile_it_names(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example"))
        (state,) = await both.states()
        await both.feed(
            clicked(both, "a@shop.example", contact_key=None, profile_id=state.profile_id),
            clicked(both, "a@shop.example", contact_key=None, profile_id=UUID(int=1)),
        )
        assert await both.count(TimelineEntry) == 2

    async def test_an_order_counts_once_and_a_refund_takes_it_back(self, both: Bench) -> None:
        await both.feed(both.lead("a@shop.example"))
        await both.feed(order(both, "a@shop.example", "1"), order(both, "a@shop.example", "1"))
        await both.feed(order(both, "a@shop.example", "2"))
        assert await both.count(EngagementFact) == 2
        await both.feed(order(both, "a@shop.example", "1", "refunded"))
        assert await both.count(EngagementFact) == 1
        assert await both.count(TimelineEntry) == 5

    async def test_what_passed_its_contact_is_found_later(self, both: Bench) -> None:
        await both.feed(sent(both, "a@shop.example"))
        (waiting,) = await both.rows(WaitingNote)
        await both.feed(both.lead("b@shop.example"))
        b = both.contact("b@shop.example").contact_key

        def pass_by(session) -> None:
            from sqlalchemy import update

            from services.profile.leads.batch import WAITING

            session.execute(update(WAITING).values(contact_key=b))

        await both.database.transaction(pass_by)
        assert await both.database.transaction(both.intake.drain) == 1
        assert await both.database.transaction(both.intake.drain) == 0
        assert waiting["event_id"] in {r["event_id"] for r in await both.rows(TimelineEntry)}


class TestTwoProcesses:
    async def test_do_not_make_two_profiles_of_one_person(
        self, postgres_bench: Bench, migrated_postgres_url: str
    ) -> None:
        bench = postgres_bench
        other = PostgresDatabase(migrated_postgres_url, "profile", SystemClock())
        phone = bench.contact("13800138000", Channel.PHONE)
        handle = bench.intake.handle
        try:
            for round_number in range(10):
                leads = [
                    bench.received(bench.lead(f"{name}{round_number}-{n}@shop.example", phone))
                    for name in ("a", "b")
                    for n in range(20)
                ]
                await asyncio.gather(
                    bench.database.transaction(partial(handle, events=leads[:20])),
                    other.transaction(partial(handle, events=leads[20:])),
                )
        finally:
            await other.close()
        assert await bench.count(Profile) == 1
        assert await bench.count(ProfileContact) == 401
        assert await bench.count(HandledLead) == 400
        (profile,) = await bench.rows(Profile)
        assert profile["lead_count"] == 400
        assert profile["revision"] == 20
        assert (await bench.states())[-1].revision == 20

    async def test_meet_on_the_same_new_address(
        self, postgres_bench: Bench, migrated_postgres_url: str
    ) -> None:
        bench = postgres_bench
        other = PostgresDatabase(migrated_postgres_url, "profile", SystemClock())
        leads = [bench.received(bench.lead(f"p{n % 50}@shop.example")) for n in range(200)]
        try:
            await asyncio.gather(
                bench.database.transaction(lambda s: bench.intake.handle(s, leads[:100])),
                other.transaction(lambda s: bench.intake.handle(s, list(reversed(leads[100:])))),
            )
        finally:
            await other.close()
        assert await bench.count(Profile) == 50
        assert await bench.count(HandledLead) == 200


def test_the_derived_profile_id_is_a_uuid_of_the_time_of_the_lead(bench: Bench) -> None:
    from services.profile.people.identity import profile_id_of

    now = bench.clock.now()
    made = profile_id_of(derived("lead", 1), now)
    assert made == profile_id_of(derived("lead", 1), now)
    assert made.version == 7
    assert made != profile_id_of(derived("lead", 2), now)

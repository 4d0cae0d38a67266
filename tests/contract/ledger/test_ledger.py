"""What the ledger promises, on each database."""

import asyncio
from datetime import timedelta

import pytest

from services.push.channels.base import OutcomeClass, Result
from services.push.deliveries import halts, repository
from services.push.deliveries.planning import Person, plan_for
from services.push.deliveries.states import State
from tests.push.deliveries.rig import CAMPAIGN, LedgerRig, contact_key, profile

OVER = timedelta(seconds=-1)
"""A lease that is over when it begins."""


async def test_a_cause_makes_one_delivery_per_contact_and_per_profile_and_channel(rig: LedgerRig):
    first = await rig.plan(rig.wish(1), rig.wish(2))
    again = await rig.plan(rig.wish(1), rig.wish(2, contact_key="another address"), rig.wish(3))
    assert (len(first), list(again)) == (2, [contact_key(3)])
    assert list(await rig.plan(rig.wish(1, cause="run-2"))) == [contact_key(1)]
    assert list(await rig.plan(rig.request(1), rig.request(1, cause="lead-2"))) == [contact_key(1)]


async def test_one_wish_for_many_people_is_as_one_wish_for_each(rig: LedgerRig):
    await rig.plan(rig.wish(1))
    people = [Person(contact_key(n), "en", profile(n)) for n in range(4)]
    now = rig.clock.now()

    async def plan_all() -> int:
        return await rig.database.transaction(
            lambda s: plan_for(s, rig.wish(99), people, rig.ids, now)
        )

    assert (await plan_all(), await plan_all()) == (3, 0)
    rows = await rig.claim(rig.ledger())
    assert sorted((row.contact_key, row.profile_id) for row in rows) == sorted(
        (contact_key(n), profile(n)) for n in range(4)
    )
    one, others = next(r for r in rows if r.contact_key == contact_key(1)), rows
    alike = {"token", "id", "contact_key", "profile_id"}
    assert all(
        {n: v for n, v in row._asdict().items() if n not in alike}
        == {n: v for n, v in one._asdict().items() if n not in alike}
        for row in others
    )


async def test_two_claims_never_share_a_row(rig: LedgerRig):
    await rig.people(range(20))
    await rig.plan(*[rig.wish(n) for n in range(20)])
    one, two = rig.ledger(), rig.ledger()
    taken = await asyncio.gather(rig.claim(one, 12), rig.claim(two, 12))
    ids = [row.id for rows in taken for row in rows]
    assert len(ids) == len(set(ids)) == 20
    assert await rig.claim(one) == []


async def test_what_is_urgent_is_claimed_before_what_is_important_before_the_rest(rig: LedgerRig):
    await rig.plan(rig.wish(1, priority=7), rig.wish(2, priority=2), rig.request(3))
    keys = [row.contact_key for row in await rig.claim(rig.ledger())]
    assert keys == [contact_key(3), contact_key(2), contact_key(1)]
    assert await rig.claim(rig.ledger(), marketing=False) == []


async def test_a_message_goes_out_once_and_is_told_once(rig: LedgerRig):
    await rig.people([1])
    ids = await rig.plan(rig.wish(1))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    turn = await rig.turn(ledger, candidates=rows)
    assert [recipient.address for _, recipient in turn.sending] == ["p1@shop.example"]
    assert (await rig.turn(ledger, candidates=rows)).sending == []
    answer = (rows[0], Result(ids[contact_key(1)], OutcomeClass.OK, "250", provider_id="m1"))
    await rig.turn(ledger, answers=[answer])
    repeated = await rig.turn(ledger, answers=[answer])
    row = await rig.row(ids[contact_key(1)])
    assert (row.state, row.provider_id, row.attempt, repeated.late) == ("sent", "m1", 1, 1)
    assert await rig.said() == ["push.sent"]


async def test_a_claim_that_was_lost_marks_nothing(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1))
    sleeper, other = rig.ledger(OVER), rig.ledger()
    stale = await rig.claim(sleeper)
    await rig.database.transaction(other.reap)
    assert await rig.states() == {contact_key(1): ("planned", None)}
    fresh = await rig.claim(other)
    assert (await rig.turn(sleeper, candidates=stale)).sending == []
    assert len((await rig.turn(other, candidates=fresh)).sending) == 1
    assert await rig.slots() == 1


async def test_an_old_copy_beside_a_new_claim_is_not_sent(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1))
    sleeper = rig.ledger(OVER)
    stale = await rig.claim(sleeper)
    await rig.database.transaction(sleeper.reap)
    fresh = await rig.claim(sleeper)
    turn = await rig.turn(sleeper, candidates=[*stale, *fresh])
    assert [row.token for row, _ in turn.sending] == [fresh[0].token]


async def test_a_result_under_another_token_changes_nothing(rig: LedgerRig):
    await rig.people([1])
    ids = await rig.plan(rig.wish(1))
    sleeper, other = rig.ledger(OVER), rig.ledger()
    stale = await rig.claim(sleeper)
    await rig.database.transaction(other.reap)
    fresh = await rig.claim(other)
    await rig.turn(other, candidates=fresh)
    lie = Result(ids[contact_key(1)], OutcomeClass.PERMANENT_RECIPIENT, "550")
    turn = await rig.turn(sleeper, answers=[(stale[0], lie)])
    assert turn.late == 1
    assert await rig.states() == {contact_key(1): ("sending", None)}


async def test_an_expired_mark_becomes_unknown_and_a_late_result_replaces_it(rig: LedgerRig):
    await rig.people([1, 2])
    ids = await rig.plan(rig.wish(1), rig.wish(2))
    ledger = rig.ledger(OVER)
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    await rig.database.transaction(ledger.reap)
    assert set((await rig.states()).values()) == {("unknown", "lease_expired")}
    assert await rig.claim(rig.ledger()) == []
    row = next(row for row in rows if row.contact_key == contact_key(1))
    await rig.turn(ledger, answers=[(row, Result(ids[contact_key(1)], OutcomeClass.OK, "250"))])
    assert await rig.states() == {
        contact_key(1): ("sent", None),
        contact_key(2): ("unknown", "lease_expired"),
    }
    assert await rig.said() == ["push.unknown", "push.unknown", "push.sent"]
    assert await rig.slots() == 2


async def test_an_unknown_one_is_sent_again_only_when_the_operator_says_so(rig: LedgerRig):
    await rig.people([1])
    ids = await rig.plan(rig.wish(1))
    ledger = rig.ledger(OVER)
    await rig.turn(ledger, candidates=await rig.claim(ledger))
    await rig.database.transaction(ledger.reap)
    now = rig.clock.now()
    again = lambda s: repository.resend(s, ids[contact_key(1)], now)  # noqa: E731
    assert await rig.database.transaction(again) is True
    assert await rig.database.transaction(again) is False
    assert [row.id for row in await rig.claim(rig.ledger())] == [ids[contact_key(1)]]


async def test_what_was_marked_and_never_submitted_is_claimed_again(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    assert await rig.slots() == 1
    await rig.database.transaction(lambda s: ledger.unmark(s, rows))
    assert (await rig.states(), await rig.slots()) == ({contact_key(1): ("claimed", None)}, 0)
    assert len((await rig.turn(ledger, candidates=rows)).sending) == 1


@pytest.mark.parametrize(
    ("outcome", "state", "slots"),
    [
        (OutcomeClass.OK, "sent", 1),
        (OutcomeClass.AMBIGUOUS, "unknown", 1),
        (OutcomeClass.RETRY_LATER, "held", 0),
        (OutcomeClass.RATE_LIMITED, "held", 0),
        (OutcomeClass.PERMANENT_RECIPIENT, "failed", 0),
        (OutcomeClass.SKIP_RECIPIENT, "dropped", 0),
        (None, "planned", 0),
    ],
)
async def test_a_place_under_the_cap_is_freed_unless_something_may_have_been_sent(
    rig: LedgerRig, outcome: OutcomeClass | None, state: str, slots: int
):
    await rig.people([1])
    ids = await rig.plan(rig.wish(1))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    await rig.turn(ledger, answers=[(rows[0], Result(ids[contact_key(1)], outcome, "x"))])
    assert (await rig.states())[contact_key(1)][0] == state
    assert await rig.slots() == slots


async def test_two_campaigns_cannot_both_take_the_last_place(database, rig: LedgerRig):
    rig = LedgerRig(database, rig.clock, cap_day=1)
    people = range(12)
    await rig.people(people)
    for cause in ("run-1", "run-2"):
        await rig.plan(*[rig.wish(n, cause) for n in people])
    one, two = rig.ledger(), rig.ledger()
    rows = await rig.claim(one)
    by_cause = [[r for r in rows if r.cause_id == cause] for cause in ("run-1", "run-2")]
    for half in by_cause:
        half.sort(key=lambda row: str(row.profile_id))
    turns = await asyncio.gather(
        rig.turn(one, candidates=by_cause[0]), rig.turn(two, candidates=by_cause[1])
    )
    sent = [row.profile_id for turn in turns for row, _ in turn.sending]
    assert sorted(sent, key=str) == sorted((profile(n) for n in people), key=str)
    assert await rig.slots() == 12
    assert [reason for _, reason in await rig.lines()] == ["cap_day"] * 12


async def test_pausing_stops_at_once_and_resuming_goes_on(rig: LedgerRig):
    await rig.people([1, 2])
    await rig.plan(rig.wish(1), rig.wish(2), rig.request(3))
    ledger = rig.ledger()
    claimed = [row for row in await rig.claim(ledger, 2) if row.marketing]
    now = rig.clock.now()
    await rig.database.transaction(lambda s: halts.pause(s, CAMPAIGN, "operator", now))
    assert (await rig.turn(ledger, candidates=claimed)).sending == []
    assert await rig.claim(rig.ledger()) == []
    places = await rig.database.transaction(lambda s: ledger.sweep(s, {}))
    states = await rig.states()
    assert {states[contact_key(n)] for n in (1, 2)} == {("held", "campaign_paused")}
    await rig.database.transaction(lambda s: halts.resume(s, CAMPAIGN, now))
    await rig.database.transaction(lambda s: ledger.sweep(s, places))
    assert len(await rig.claim(rig.ledger())) == 2
    assert await rig.database.read(halts.halts) == {}


async def test_cancelling_drops_what_was_not_sent(rig: LedgerRig):
    await rig.people([1, 2])
    await rig.plan(rig.wish(1), rig.wish(2))
    ledger = rig.ledger()
    claimed = await rig.claim(ledger, 1)
    now = rig.clock.now()
    await rig.database.transaction(lambda s: halts.cancel(s, CAMPAIGN, "operator", now))
    places = await rig.database.transaction(lambda s: ledger.sweep(s, {}))
    await rig.database.transaction(lambda s: ledger.release(s, claimed))
    await rig.database.transaction(lambda s: ledger.sweep(s, places))
    assert set((await rig.states()).values()) == {("dropped", "campaign_cancelled")}
    assert await rig.said() == ["push.dropped", "push.dropped"]
    assert not await rig.database.read(lambda s: repository.has_open(s, CAMPAIGN))


async def test_our_own_configuration_holds_the_message_and_pauses_the_campaign(rig: LedgerRig):
    await rig.people([1, 2])
    ids = await rig.plan(rig.wish(1), rig.wish(2))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    first = next(row for row in rows if row.contact_key == contact_key(1))
    await rig.turn(ledger, candidates=[first])
    trouble = Result(ids[contact_key(1)], OutcomeClass.PERMANENT_CONFIG, "554-dkim")
    rest = [row for row in rows if row is not first]
    turn = await rig.turn(ledger, answers=[(first, trouble)], candidates=rest)
    assert turn.sending == []
    assert rig.paused == [(CAMPAIGN, "554-dkim")]
    states = await rig.states()
    assert states[contact_key(1)] == ("held", "configuration")
    assert states[contact_key(2)] == ("held", "campaign_paused")


async def test_what_is_over_holds_no_address_any_more(rig: LedgerRig):
    ids = await rig.plan(rig.request(1, values={"link": "https://x.example/r/token"}))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    await rig.turn(ledger, answers=[(rows[0], Result(ids[contact_key(1)], OutcomeClass.OK, "250"))])
    row = await rig.row(ids[contact_key(1)])
    assert (row.state, row.address, row.vals) == (State.SENT, None, {})


async def test_content_that_cannot_be_had_holds_its_messages(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1, template_version_id=profile(9)))
    rig.contents.missing.add(profile(9))
    assert await rig.claim(rig.ledger()) == []
    assert await rig.states() == {contact_key(1): ("held", "content_missing")}


async def test_a_turn_rolled_back_leaves_no_trace(rig: LedgerRig):
    await rig.people([1])
    await rig.plan(rig.wish(1))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)

    def work(session):
        ledger.turn(session, [], rows)
        raise KeyError("the power is gone")

    with pytest.raises(KeyError):
        await rig.database.transaction(work)
    assert await rig.states() == {contact_key(1): ("claimed", None)}
    assert (await rig.slots(), await rig.said()) == (0, [])

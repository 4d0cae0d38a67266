"""The policy's questions in their order, on each database."""

from datetime import time, timedelta
from typing import Any

import pytest

from services.push.channels.base import OutcomeClass, Result
from services.push.reach import repository as reach
from services.push.reach import suppressing
from services.shared.ids import derived
from tests.push.deliveries.rig import LedgerRig, contact_key, profile

# the rig's clock begins at noon in Shanghai, on a Monday
NIGHT: dict[str, Any] = {"quiet_start": time(11), "quiet_end": time(14)}


async def decided(rig: LedgerRig, *wishes: Any) -> dict[str, tuple[str, str | None]]:
    """What becomes of messages that are marked now: `sending`, or a state with its reason."""
    await rig.plan(*wishes)
    ledger = rig.ledger()
    await rig.turn(ledger, candidates=await rig.claim(ledger))
    return await rig.states()


async def suppress(rig: LedgerRig, reason: Any, number: int = 1) -> None:
    now = rig.clock.now()
    keys = [contact_key(number)]
    await rig.database.transaction(lambda s: suppressing.suppress(s, keys, reason, now))


async def erase(rig: LedgerRig, number: int = 1) -> None:
    now = rig.clock.now()
    await rig.database.transaction(lambda s: reach.erase(s, [profile(number)], now))


ORDER = ("erased", "hard_bounce", "no_consent", "quiet_hours", "priority", "mail_limit", "cap_day")


@pytest.mark.parametrize("first", range(len(ORDER)))
async def test_the_first_question_that_says_no_is_the_reason(database, rig: LedgerRig, first: int):
    """Everything from `first` on says no; what comes before says yes."""
    no = set(ORDER[first:])
    hours: dict[str, Any] = NIGHT if "quiet_hours" in no else {}
    rig = LedgerRig(database, rig.clock, cap_day=1, **hours)
    limited = "mail_limit" in no
    contact: dict[str, Any] = {"marketing": "no_consent" not in no}
    if limited:
        contact |= {"verified_at": None, "provenance": "a fair's sheet"}
    await rig.people([1], **contact)
    if limited:
        relaxed = LedgerRig(database, rig.clock)
        await decided(relaxed, relaxed.request(1))
    elif "cap_day" in no:
        relaxed = LedgerRig(database, rig.clock)
        await decided(relaxed, relaxed.wish(1, cause="earlier"))
    if "priority" in no:
        later = rig.clock.now() + timedelta(minutes=5)
        await rig.plan(
            rig.wish(
                1,
                cause="dear",
                campaign_id=derived("campaign", "dear"),
                priority=1,
                not_before=later,
            )
        )
    if "hard_bounce" in no:
        await suppress(rig, "hard_bounce")
    if "erased" in no:
        await erase(rig)
        await suppress(rig, "erased")
    ids = await rig.plan(rig.wish(1, cause="run-9"))
    ledger = rig.ledger()
    await rig.turn(ledger, candidates=await rig.claim(ledger))
    row = await rig.row(ids[contact_key(1)])
    dropped = first < 3
    assert (row.state, row.reason) == ("dropped" if dropped else "held", ORDER[first])
    assert (row.not_before is None) == dropped


@pytest.mark.parametrize(
    ("reason", "campaign", "bait_mail"),
    [
        ("unsubscribed", "dropped", "sending"),
        ("hard_bounce", "dropped", "dropped"),
        ("soft_bounces", "dropped", "dropped"),
        ("complaint", "dropped", "dropped"),
        ("blocked", "dropped", "dropped"),
        ("erased", "dropped", "dropped"),
    ],
)
async def test_the_suppression_list(rig: LedgerRig, reason: str, campaign: str, bait_mail: str):
    await rig.people([1])
    wishes = [rig.wish(1), rig.request(1)]
    await rig.plan(*wishes)
    await suppress(rig, reason)
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    found = {row.cause_kind: (await rig.row(row.id)).state for row in rows}
    assert found == {"campaign": campaign, "lead": bait_mail}


async def test_who_was_erased_may_ask_again(rig: LedgerRig):
    await suppress(rig, "erased")
    rig.clock.advance(60)
    assert await decided(rig, rig.request(1)) == {contact_key(1): ("sending", None)}


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        ({"marketing": None}, "no_consent"),
        ({"marketing": False}, "no_consent"),
        ({"verified_at": None}, "not_verified"),
        ({"verified_at": None, "provenance": "sheet 7, row 3"}, None),
        ({}, None),
    ],
)
async def test_consent_counts_only_for_a_contact_that_is_known_to_be_theirs(
    rig: LedgerRig, contact: dict, reason: str | None
):
    await rig.people([1], **contact)
    expected = ("dropped", reason) if reason else ("sending", None)
    assert await decided(rig, rig.wish(1)) == {contact_key(1): expected}


async def test_a_contact_that_is_no_longer_theirs_gets_nothing(rig: LedgerRig):
    await rig.people([1])
    wish = rig.wish(1, contact_key="an old address")
    assert await decided(rig, wish) == {"an old address": ("dropped", "contact_gone")}


async def test_quiet_hours_hold_until_the_persons_morning_and_then_it_goes_out(database, rig):
    rig = LedgerRig(database, rig.clock, quiet_start=time(21), quiet_end=time(8))
    await rig.people([1])
    await rig.people([2], zone="America/New_York")  # 23:00 there
    await rig.people([3], zone="Not/AZone")
    states = await decided(rig, *[rig.wish(n) for n in (1, 2, 3)], rig.request(4))
    assert states == {
        contact_key(1): ("sending", None),
        contact_key(2): ("held", "quiet_hours"),
        contact_key(3): ("sending", None),
        contact_key(4): ("sending", None),
    }
    ledger = rig.ledger()
    assert await rig.claim(ledger) == []
    rig.clock.advance(9 * 3600)
    rows = await rig.claim(ledger)
    assert [row.contact_key for row in rows] == [contact_key(2)]
    assert len((await rig.turn(ledger, candidates=rows)).sending) == 1


async def test_what_is_held_past_its_end_is_dropped_for_the_same_reason(database, rig: LedgerRig):
    rig = LedgerRig(database, rig.clock, **NIGHT)
    await rig.people([1])
    end = rig.clock.now() + timedelta(minutes=30)
    await decided(rig, rig.wish(1, expires_at=end))
    rig.clock.advance(1801)
    ledger = rig.ledger()
    await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert await rig.states() == {contact_key(1): ("dropped", "quiet_hours")}


async def test_the_cap_counts_days_and_weeks_of_the_installation(database, rig: LedgerRig):
    rig = LedgerRig(database, rig.clock, cap_day=2, cap_week=4)
    await rig.people([1])
    sent: list[int] = []
    for day in range(8):
        before = await rig.slots()
        await rig.plan(*[rig.wish(1, cause=f"day {day}, {n}") for n in range(3)])
        ledger = rig.ledger()
        await rig.turn(ledger, candidates=await rig.claim(ledger))
        sent.append(await rig.slots() - before)
        rig.clock.advance(24 * 3600)
    # Monday to Sunday, and the next Monday
    assert sent == [2, 2, 0, 0, 0, 0, 0, 2]
    reasons = {reason for _, reason in await rig.lines()}
    assert reasons == {"cap_day", "cap_week"}


async def test_a_message_outside_the_cap_takes_no_place(database, rig: LedgerRig):
    rig = LedgerRig(database, rig.clock, cap_day=1)
    await rig.people([1])
    await decided(rig, *[rig.wish(1, cause=f"run {n}", capped=False) for n in range(3)])
    assert await rig.slots() == 0


async def test_the_more_important_one_goes_first_that_day(rig: LedgerRig):
    await rig.people([1, 2])
    soon = rig.clock.now() + timedelta(hours=2)
    tomorrow = rig.clock.now() + timedelta(hours=20)
    await rig.plan(
        rig.wish(
            1, cause="dear", campaign_id=derived("campaign", "dear"), priority=1, not_before=soon
        ),
        rig.wish(
            2,
            cause="dear",
            campaign_id=derived("campaign", "dear"),
            priority=1,
            not_before=tomorrow,
        ),
    )
    await rig.plan(rig.wish(1), rig.wish(2))
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert [row.contact_key for row, _ in turn.sending] == [contact_key(2)]
    assert await rig.lines() == [("held", "priority")]


async def test_of_many_campaigns_and_requests_whoever_is_more_important_goes_first(rig: LedgerRig):
    await rig.people([1, 2, 3, 4])
    soon = rig.clock.now() + timedelta(hours=2)
    others: dict[str, Any] = {"not_before": soon}
    for number, priority in enumerate((9, 2, 4)):
        run = f"run of {number}"
        campaign = derived("campaign", run)
        wish = rig.wish(1 + number, cause=run, campaign_id=campaign, priority=priority, **others)
        await rig.plan(wish)
    await rig.plan(
        rig.wish(4, cause="asked", cause_kind="api", campaign_id=None, priority=3, **others)
    )
    await rig.plan(*[rig.wish(number) for number in (1, 2, 3, 4)])
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert [row.contact_key for row, _ in turn.sending] == [contact_key(1)]
    assert await rig.lines() == [("held", "priority")] * 3


DAY = 24 * 3600


async def mails(rig: LedgerRig, hours: list[int], **changes: Any) -> list[str]:
    """What becomes of bait mails asked for at these hours."""
    begin = rig.clock.now()
    states = []
    for number, hour in enumerate(hours):
        rig.clock.advance((begin + timedelta(hours=hour) - rig.clock.now()).total_seconds())
        bait = changes.get("bait_id") or derived("bait", number)
        wish = rig.request(1, cause=f"lead-{number}", **{**changes, "bait_id": bait})
        ids = await rig.plan(wish)
        ledger = rig.ledger()
        rows = await rig.claim(ledger)
        turn = await rig.turn(ledger, candidates=rows)
        answers = [(row, Result(row.id, OutcomeClass.OK, "250")) for row, _ in turn.sending]
        await rig.turn(ledger, answers=answers)
        states.append((await rig.row(ids[contact_key(1)])).state)
    return states


async def test_an_address_never_verified_gets_one_mail_a_day_and_three_in_ninety(rig: LedgerRig):
    hours = [0, 23, 25, 60, 100, 89 * 24, 91 * 24]
    assert await mails(rig, hours) == [
        "sent",
        "dropped",
        "sent",
        "sent",
        "dropped",
        "dropped",
        "sent",
    ]


async def test_a_verified_address_gets_one_mail_per_bait_a_day(rig: LedgerRig):
    assert await mails(rig, [0, 1, 2], verified=True) == ["sent"] * 3
    same = {"verified": True, "bait_id": derived("bait", 77), "contact_key": contact_key(1)}
    again = [rig.request(1, cause=f"again {n}", **same) for n in range(2)]
    await rig.plan(*again)
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert len(turn.sending) == 1


async def test_plus_tags_share_one_limit_and_ten_at_once_are_one(rig: LedgerRig):
    wishes = [
        rig.request(n, cause=f"lead-{n}", abuse_key="one mailbox", bait_id=derived("bait", n))
        for n in range(10)
    ]
    states = await decided(rig, *wishes)
    assert sorted(state for state, _ in states.values()) == ["dropped"] * 9 + ["sending"]


async def test_tests_and_notices_are_outside_the_limits(rig: LedgerRig):
    wishes = [
        rig.request(1, cause=f"{kind} {n}", cause_kind=kind)
        for kind in ("test", "notice")
        for n in range(3)
    ]
    await rig.plan(*wishes)
    ledger = rig.ledger()
    turn = await rig.turn(ledger, candidates=await rig.claim(ledger))
    assert len(turn.sending) == 6


async def test_a_mail_that_was_not_sent_does_not_count(rig: LedgerRig):
    ids = await rig.plan(rig.request(1))
    ledger = rig.ledger()
    rows = await rig.claim(ledger)
    await rig.turn(ledger, candidates=rows)
    refused = Result(ids[contact_key(1)], OutcomeClass.SKIP_RECIPIENT, "no")
    await rig.turn(ledger, answers=[(rows[0], refused)])
    assert await mails(rig, [0]) == ["sent"]


async def test_a_hard_refusal_suppresses_and_soft_ones_after_five_in_a_row_over_a_week(rig):
    async def answer(number: int, outcome: OutcomeClass, cause: str) -> None:
        await rig.people([number], revision=int(rig.clock.monotonic()))
        ids = await rig.plan(rig.wish(number, cause, capped=False))
        ledger = rig.ledger()
        rows = await rig.claim(ledger)
        turn = await rig.turn(ledger, candidates=rows)
        answers = [(row, Result(row.id, outcome, "x")) for row, _ in turn.sending]
        await rig.turn(ledger, answers=answers)
        states[number, cause] = (await rig.row(ids[contact_key(number)])).reason

    states: dict[Any, Any] = {}
    await answer(1, OutcomeClass.PERMANENT_RECIPIENT, "a")
    await answer(1, OutcomeClass.OK, "b")
    assert states == {(1, "a"): "permanent_recipient", (1, "b"): "hard_bounce"}
    for day in range(6):
        await answer(2, OutcomeClass.SOFT, f"day {day}")
        await answer(3, OutcomeClass.OK if day == 3 else OutcomeClass.SOFT, f"day {day}")
        rig.clock.advance(2 * DAY)
    assert states[2, "day 4"] == "soft"
    assert states[2, "day 5"] == "soft_bounces"
    assert states[3, "day 5"] == "soft"

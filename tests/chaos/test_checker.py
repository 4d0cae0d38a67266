"""The checker sees each thing that can be wrong, in sets small enough to be read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import Evidence, Findings, examine
from tests.chaos.stores import Row
from tests.chaos.verdict import Verdict, played, read, write

ANN, BOB = "ann@people.example", "bob@people.example"


def bait_mail(lead: str, address: str, state: str = "sent", reason: str | None = None) -> Row:
    return Row(f"bait-{lead}", "lead", lead, None, address, state, reason)


def campaign_mail(address: str, state: str = "sent") -> Row:
    return Row(f"campaign-{address}", "campaign", "run", "c", address, state, None)


def right() -> Evidence:
    """Ann verified and got the campaign; Bob did neither."""
    return Evidence(
        acknowledged=[
            {"what": "lead", "id": "l1", "address": ANN},
            {"what": "lead", "id": "l2", "address": BOB},
            {"what": "verified", "address": ANN},
            {"what": "clicked", "delivery": f"campaign-{ANN}"},
        ],
        sink=[("bait-l1", ANN, "bait"), (f"campaign-{ANN}", ANN, "campaign")],
        leads={"l1": True, "l2": False},
        handled={"l1", "l2"},
        profiles={"p1": 1, "p2": 1},
        contacts={ANN: ("k1", "p1", True), BOB: ("k2", "p2", False)},
        ledger=[
            bait_mail("l1", ANN),
            bait_mail("l2", BOB, "unknown"),
            campaign_mail(ANN),
            campaign_mail(BOB, "dropped"),
        ],
        suppressed=set(),
        recipients={ANN},
        counters={"bait submitted": 2, "campaign clicked": 1, "prometheus campaign sent": 1},
    )


def test_nothing_is_wrong() -> None:
    found = examine(right())
    assert found == Findings(unknown=1)


Spoil = Callable[[Evidence], dict[str, Any]]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda e: {"leads": {"l1": True}}, "accepted leads are not kept"),
        (lambda e: {"handled": {"l1"}}, "accepted leads never reached profile"),
        (lambda e: {"leads": {"l1": False, "l2": False}}, "not verified at capture"),
        (
            lambda e: {"contacts": {**e.contacts, ANN: ("k1", "p1", False)}},
            "not verified at profile",
        ),
        (lambda e: {"ledger": [row for row in e.ledger if row.cause_id != "l2"]}, "no bait mail"),
        (lambda e: {"ledger": [row for row in e.ledger if row.address != ANN]}, "nor unknown"),
        (lambda e: {"sink": e.sink[1:]}, "`sent` that never arrived"),
        (
            lambda e: {"acknowledged": [*e.acknowledged, {"what": "left", "address": BOB}]},
            "not suppressed",
        ),
    ],
)
def test_what_is_lost(spoil: Spoil, words: str) -> None:
    found = examine(replace(right(), **spoil(right())))
    assert found.lost > 0
    assert any(words in fault for fault in found.faults), found.faults


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda e: {"leads": {**e.leads, "l3": False}}, "made twice"),
        (lambda e: {"profiles": {"p1": 2, "p2": 1}}, "leads per person"),
        (
            lambda e: {"ledger": [*e.ledger, bait_mail("l3", BOB, "failed")]},
            "ends of bait mails",
        ),
        (lambda e: {"ledger": [*e.ledger, campaign_mail("x", "held")]}, "not settled"),
        (lambda e: {"sink": [*e.sink, ("campaign-x", BOB, "campaign")]}, "had not agreed"),
        (
            lambda e: {"sink": [*e.sink, (f"campaign-{BOB}", "other@people.example", "bait")]},
            "says otherwise",
        ),
    ],
)
def test_what_should_not_be(spoil: Spoil, words: str) -> None:
    found = examine(replace(right(), **spoil(right())))
    assert any(words in fault for fault in found.faults), found.faults


def test_a_message_that_came_twice_is_counted_at_the_sink_although_the_ledger_looks_perfect() -> (
    None
):
    evidence = right()
    found = examine(replace(evidence, sink=[*evidence.sink, evidence.sink[1]]))
    assert found.messages_doubled == 1


def test_two_deliveries_of_one_campaign_to_one_person_are_doubles() -> None:
    evidence = right()
    second = Row("second", "campaign", "other run", "c", ANN, "sent", None)
    found = examine(
        replace(
            evidence,
            sink=[*evidence.sink, ("second", ANN, "campaign")],
            ledger=[*evidence.ledger, second],
        )
    )
    assert found.messages_doubled == 1


def test_a_profile_without_a_contact_of_its_own_is_a_double() -> None:
    found = examine(replace(right(), profiles={"p1": 1, "p2": 1, "p3": 1}))
    assert found.profiles_doubled == 1


def test_counters_are_off_by_as_much_as_they_differ() -> None:
    found = examine(replace(right(), counters={"bait submitted": 5, "campaign clicked": 0}))
    assert found.counters_off == 4


def test_a_click_may_be_missing_that_the_system_says_it_could_not_store() -> None:
    none = {"campaign clicked": 0}
    assert examine(replace(right(), counters=none, unstored=1)).counters_off == 0
    assert examine(replace(right(), counters=none, unstored=0)).counters_off == 1
    assert examine(replace(right(), counters={"bait submitted": 1}, unstored=1)).counters_off == 1


def test_unknown_beyond_its_bound_is_red() -> None:
    verdict = Verdict("crash", "embedded", 1, unknown=65, unknown_bound=64)
    assert not verdict.ok
    assert "unknown 65 (bound 64)" in verdict.line()


def test_a_case_is_reported_in_whole_numbers() -> None:
    case = Verdict("crash", "embedded", 7, accepted=3, unknown_bound=64).as_json()
    assert case == {
        "id": "crash",
        "mode": "embedded",
        "seed": 7,
        "accepted": 3,
        "lost": 0,
        "profiles_doubled": 0,
        "messages_doubled": 0,
        "unknown": 0,
        "unknown_bound": 64,
        "counters_off": 0,
        "seconds": 0,
        "form": "short",
        "ok": True,
    }


def test_a_run_that_goes_on_keeps_what_it_had(tmp_path: Path) -> None:
    report = tmp_path / "build" / "chaos.json"
    write(report, [Verdict("R1", "embedded", 7), Verdict("R2", "embedded", 7, lost=1)])
    earlier = read(report)
    write(report, [Verdict("R2", "embedded", 7), Verdict("R2", "scaled", 7)], earlier)
    assert [(*played(case)[:2], case["ok"]) for case in read(report)] == [
        ("R1", "embedded", True),
        ("R2", "embedded", True),
        ("R2", "scaled", True),
    ]

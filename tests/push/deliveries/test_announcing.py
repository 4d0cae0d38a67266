"""What push says of a delivery is the event that the catalogue describes."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from services.push.deliveries.announcing import outcomes
from services.push.deliveries.repository import Claimed
from services.push.deliveries.states import State
from services.shared.events import Event, Message, Received, Record
from services.shared.events.decode import decode, decode_each
from services.shared.events.parts import CausePart
from services.shared.events.push import (
    Outcome,
    PushDropped,
    PushFailed,
    PushHeld,
    PushSent,
    PushUnknown,
)
from services.shared.ids import derived

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Said:
    state: State
    kind: type[Outcome]


CASES = [
    _Said(State.SENT, PushSent),
    _Said(State.FAILED, PushFailed),
    _Said(State.HELD, PushHeld),
    _Said(State.DROPPED, PushDropped),
    _Said(State.UNKNOWN, PushUnknown),
]


def _row(**changes: object) -> Claimed:
    parts: dict[str, object] = dict.fromkeys(Claimed._fields)
    parts |= {
        "id": derived("delivery"),
        "cause_kind": "campaign",
        "cause_id": "run “1”",
        "campaign_id": derived("campaign"),
        "profile_id": derived("person"),
        "contact_key": "key-1",
        "channel": "email",
    }
    return Claimed(**{**parts, **changes})  # type: ignore[arg-type]  # the others do not matter


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.state.value)
def test_a_change_is_said_as_its_event_with_every_field(case: _Said):
    row = _row()
    assert row.campaign_id is not None
    said = [(row, case.state.value, "a reason", "550", 2)]
    (message,) = outcomes(said, {row.campaign_id: '春天 "sale"'}, NOW)
    received = decode(Record("outcomes", 0, 7, message.key, message.headers, message.value))
    assert received is not None
    assert type(received.event) is case.kind
    assert received.event == case.kind(
        delivery_id=row.id,
        cause=CausePart(kind="campaign", id="run “1”"),
        campaign_id=row.campaign_id,
        campaign_name='春天 "sale"',
        profile_id=row.profile_id,
        contact_key="key-1",
        channel="email",
        reason="a reason",
        code="550",
    )
    assert (received.occurred_at, received.key) == (NOW, "key-1")
    assert set(case.kind.model_fields) == set(json.loads(message.value or b"{}"))


def test_what_nobody_waits_for_is_not_said():
    assert outcomes([(_row(), State.CLAIMED.value, None, None, 0)], {}, NOW) == []


def _sent(number: int, **changes: object) -> Claimed:
    parts = {"id": derived("delivery", number), "contact_key": f"key-{number}"}
    return _row(**(parts | {"profile_id": derived("person", number)} | changes))


def _read(message: Message) -> list[Received[Event]]:
    record = Record("outcomes", 0, 7, message.key, message.headers, message.value)
    return list(decode_each(record))


def test_what_was_sent_of_one_campaign_together_reads_as_if_each_had_been_said_alone():
    rows = [_sent(0), _sent(1), _sent(2, profile_id=None)]
    said = [(row, State.SENT.value, None, f"25{n}", n) for n, row in enumerate(rows)]
    names = {row.campaign_id: "春天" for row in rows if row.campaign_id}
    (message,) = outcomes(said, names, NOW)
    alone = [_read(one)[0] for each in said for one in outcomes([each], names, NOW)]
    assert [
        (item.id, item.occurred_at, item.key, type(item.event), item.event)
        for item in _read(message)
    ] == [(item.id, NOW, item.key, PushSent, item.event) for item in alone]
    assert [item.event.code for item in alone if isinstance(item.event, PushSent)] == [
        "250",
        "251",
        "252",
    ]


def test_what_has_something_of_its_own_to_tell_is_said_alone():
    others = [
        (_sent(0, cause_kind="lead", campaign_id=None, bait_id=derived("bait")), "sent", None),
        (_sent(1), "sent", "a late result"),
        (_sent(2), "failed", "hard_bounce"),
        (_sent(3, campaign_id=derived("another")), "sent", None),
        (_sent(4, channel="webhook"), "sent", None),
    ]
    said = [(row, state, reason, None, 1) for row, state, reason in others]
    messages = outcomes(said, {}, NOW)
    assert sorted(message.key for message in messages) == [f"key-{n}" for n in range(5)]
    assert "together" not in str(messages)


def test_so_many_at_once_take_several_records_and_nobody_is_left_out():
    rows = [_sent(number) for number in range(450)]
    messages = outcomes([(row, "sent", None, None, 1) for row in rows], {}, NOW)
    assert len(messages) == 3
    keys = [item.key for message in messages for item in _read(message)]
    assert keys == [row.contact_key for row in rows]

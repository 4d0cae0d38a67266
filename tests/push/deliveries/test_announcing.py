"""What push says of a delivery is the event that the catalogue describes."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from services.push.deliveries.announcing import outcomes
from services.push.deliveries.repository import Claimed
from services.push.deliveries.states import State
from services.shared.events import Record
from services.shared.events.decode import decode
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

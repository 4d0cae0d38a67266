"""What the policy held by rules that an operator has changed since is asked again; nothing else is."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlmodel import Session

from services.push.channels.base import OutcomeClass
from services.push.deliveries import anew
from services.push.deliveries.repository import LEDGER
from services.push.deliveries.tidying import Tidy
from services.push.policy.service import Policy
from services.push.policy.service import Rules as PolicyRules
from tests.push.deliveries.rig import SHANGHAI, FakeChannel, LedgerRig, contact_key, settle

NIGHT: dict[str, Any] = {"quiet_start": time(0), "quiet_end": time(23, 59)}
"""Whatever time it is, but the last minute of a day."""
NEVER: dict[str, Any] = {"quiet_start": time(0), "quiet_end": time(0)}


async def restarted(rig: LedgerRig, **rules: Any) -> None:
    """The program with these rules, as long as it takes to look after what is held."""
    rig.policy = Policy(PolicyRules(**{"zone": SHANGHAI, **NEVER, **rules}))
    rig.clock.advance(1)
    await Tidy(rig.database, rig.clock, rig.policy).ask_anew()


async def sent(rig: LedgerRig) -> set[str]:
    """Whom a dispatcher now writes to."""
    channel = FakeChannel(rig.clock, lambda _: (OutcomeClass.OK, "250"))
    await settle(rig.dispatcher(channel))
    return {key for key, (state, _) in (await rig.states()).items() if state == "sent"}


async def test_held_by_quiet_hours_that_are_none_any_more(rig: LedgerRig) -> None:
    await restarted(rig, **NIGHT)
    await rig.people([1, 2])
    await rig.plan(rig.wish(1), rig.wish(2))
    assert await sent(rig) == set()
    assert set((await rig.states()).values()) == {("held", "quiet_hours")}
    await restarted(rig, **NIGHT)
    assert await sent(rig) == set()
    await restarted(rig)
    assert await sent(rig) == {contact_key(1), contact_key(2)}


async def test_held_by_a_cap_that_is_wider_now(rig: LedgerRig) -> None:
    await restarted(rig, cap_day=1)
    await rig.people([1])
    await rig.plan(rig.wish(1), rig.wish(1, "run-2"))
    await sent(rig)
    rig.clock.advance(1)
    held = await rig.database.read(lambda s: anew.held(s, rig.clock.now()))
    assert len(held) == 1
    await restarted(rig, cap_day=2)
    await sent(rig)
    assert await rig.slots() == 2


async def test_a_longer_night_holds_them_again_until_its_end(rig: LedgerRig) -> None:
    await restarted(rig, **NIGHT)
    await rig.people([1])
    (id_,) = (await rig.plan(rig.wish(1))).values()
    await sent(rig)
    before = (await rig.row(id_)).not_before
    longer = {**NIGHT, "quiet_end": time(23, 59, 30)}
    await restarted(rig, **longer)
    assert await sent(rig) == set()
    assert (await rig.row(id_)).not_before - before == timedelta(seconds=30)


async def test_what_is_tried_again_later_keeps_its_hour(rig: LedgerRig) -> None:
    await restarted(rig)
    await rig.people([1])
    (id_,) = (await rig.plan(rig.wish(1))).values()
    later = FakeChannel(rig.clock, lambda _: (OutcomeClass.RETRY_LATER, "451"))
    await settle(rig.dispatcher(later))
    row = await rig.row(id_)
    assert (row.state, row.reason) == ("held", "retry")
    await restarted(rig, cap_day=9)
    assert (await rig.row(id_)).not_before == row.not_before


async def test_the_first_start_with_this_program_asks_once(rig: LedgerRig) -> None:
    """What an older one held; and the second start asks nothing."""
    rig.policy = Policy(PolicyRules(SHANGHAI, **NIGHT))
    await rig.people([1])
    (id_,) = (await rig.plan(rig.wish(1))).values()
    await sent(rig)
    await restarted(rig, **NIGHT)
    assert (await rig.row(id_)).not_before == rig.clock.now()
    await sent(rig)
    held = await rig.row(id_)
    assert held.not_before > rig.clock.now()
    await restarted(rig, **NIGHT)
    assert await rig.row(id_) == held


async def test_what_is_held_again_meanwhile_is_not_asked_for_ever(
    rig: LedgerRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispatcher that is quicker than who looks through what is held."""
    monkeypatch.setattr(anew, "AT_ONCE", 2)
    await restarted(rig, **NIGHT)
    await rig.people(range(5))
    await rig.plan(*(rig.wish(number) for number in range(5)))
    await sent(rig)
    asked: list[int] = []
    ask = anew.ask

    def asking(session: Session, ids: Sequence[UUID], now: datetime) -> None:
        asked.append(len(ids))
        ask(session, ids, now)
        session.execute(
            update(LEDGER)
            .where(LEDGER.c.id.in_(ids))
            .values(not_before=now + timedelta(hours=1), updated_at=now)
        )

    monkeypatch.setattr(anew, "ask", asking)
    await restarted(rig, **{**NIGHT, "quiet_end": time(23, 58)})
    assert asked == [2, 2, 1]

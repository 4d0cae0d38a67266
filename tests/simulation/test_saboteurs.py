"""The simulation is worth something only if it finds what is broken on purpose."""

from collections.abc import Iterator
from typing import Any

import pytest

from services.push.deliveries.dispatcher import Dispatcher
from services.push.deliveries.repository import LEDGER
from services.push.deliveries.service import Ledger
from services.shared import group_commit
from services.shared.runner import positions
from tests.simulation import sabotage
from tests.simulation.actors import Consumer, Intake
from tests.simulation.world import Ground, ground, run

SEEDS = 200


@pytest.fixture
def on() -> Iterator[Ground]:
    with ground() as made:
        yield made


def first_fault(on: Ground, **parts: Any) -> str | None:
    """What the first seed that goes wrong says."""
    for seed in range(SEEDS):
        report = run(seed, on, **parts)
        if report.faults:
            return report.faults[0]
    return None


def test_positions_without_compare_and_set_are_found(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(positions, "move", sabotage.move_blindly)
    fault = first_fault(on)
    assert fault is not None
    assert "twice" in fault


def test_an_outbox_that_is_emptied_before_it_is_published_is_found(on: Ground) -> None:
    fault = first_fault(on, relay=sabotage.HastyRelay)
    assert fault is not None
    assert "should be" in fault


def test_a_relay_that_does_not_keep_the_order_is_found(on: Ground) -> None:
    fault = first_fault(on, relay=sabotage.UnsortedRelay)
    assert fault is not None
    assert "should be" in fault


def test_answers_before_the_commit_are_found(on: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hasty(self: Any, batch: Any) -> None:
        group_commit._answer(batch, [True] * len(batch))
        await self._attempt([item for item, _ in batch])

    monkeypatch.setattr(group_commit.GroupCommit, "_commit", hasty)
    fault = first_fault(on)
    assert fault is not None
    assert "gone" in fault


def test_effects_without_a_natural_key_are_found(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def repeats(self: Consumer, session: Any, events: Any) -> None:
        for received in events:
            session.execute(
                self.effects.insert().values(
                    event=str(received.record.offset),  # another one at each repeat
                    topic=received.record.topic,
                    key=received.key,
                    number=received.event.bait_id.int,
                )
            )

    monkeypatch.setattr(Consumer, "_act", repeats)
    assert first_fault(on) is not None


def test_sending_again_what_was_on_the_wire_is_found(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ledger, "reap", sabotage.send_again)
    fault = first_fault(on, mailer=True)
    assert fault is not None
    assert fault.startswith("push: ")


def test_marks_that_are_not_committed_before_sending_are_found(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = Dispatcher._write

    async def hasty(self: Dispatcher, candidates: Any) -> Any:
        """What goes out is only noted with the result: a crash in between sends it again."""
        made = await turn(self, candidates)
        await self._database.transaction(
            lambda s: s.execute(
                LEDGER.update()
                .where(LEDGER.c.id.in_([row.id for row, _ in made.sending]))
                .values(state="claimed")
            )
        )
        return made

    monkeypatch.setattr(Dispatcher, "_write", hasty)
    assert first_fault(on, mailer=True) is not None


def test_an_intake_that_says_everything_again_is_harmless(
    on: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Producers may repeat: that is what the natural keys are for."""
    once = Intake._write

    def twice(self: Intake, session: Any, items: Any) -> Any:
        once(self, session, items)
        ids = [str(item.id) for item in items]
        session.execute(self.accepted.delete().where(self.accepted.c.id.in_(ids)))
        return once(self, session, items)

    monkeypatch.setattr(Intake, "_write", twice)
    for seed in range(20):
        assert run(seed, on).faults == []

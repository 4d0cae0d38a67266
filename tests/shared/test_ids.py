"""Ids: the layout of RFC 9562, and ids that follow from something else."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from services.shared.clock import VirtualClock
from services.shared.ids import Ids, derived, derived_beside


def test_the_layout_is_that_of_version_7() -> None:
    clock = VirtualClock(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC))
    noise = bytes.fromhex("ffffffffffffffffffff")
    made = Ids(clock, lambda count: noise[:count]).new()
    assert made == UUID("017f22e2-79b0-7fff-bfff-ffffffffffff")
    assert Ids(clock, bytes).new() == UUID("017f22e2-79b0-7000-8000-000000000000")
    assert made.version == 7
    assert made.variant == RFC_4122


def test_its_time_is_the_clocks_milliseconds() -> None:
    clock = VirtualClock()
    clock.jump(timedelta(microseconds=1999))
    made = Ids(clock).new()
    millis = int.from_bytes(made.bytes[:6], "big")
    assert millis == int(clock.now().timestamp() * 1000)


def test_many_at_the_same_time_are_all_different() -> None:
    ids = Ids(VirtualClock())
    assert len({ids.new() for _ in range(10_000)}) == 10_000


def test_what_follows_from_the_same_is_the_same_for_ever() -> None:
    assert derived("lead", UUID(int=1), 7) == derived("lead", str(UUID(int=1)), "7")
    assert derived("lead", 1) == UUID("3ed408ce-16e4-5ad2-b97a-ab8919cce950")


def test_parts_do_not_run_into_each_other() -> None:
    assert (
        len({derived("a", "bc"), derived("ab", "c"), derived("abc"), derived("a", "b", "c")}) == 4
    )


def test_what_follows_beside_an_id_is_the_same_for_ever_and_keeps_its_place_in_order():
    one = UUID("017f22e2-79b0-7fff-bfff-ffffffffffff")
    made = derived_beside(one, "push", "sent", 1)
    assert made == derived_beside(one, "push", "sent", "1") == UUID(str(made))
    assert (made.bytes[:6], made.version, made.variant) == (one.bytes[:6], 8, RFC_4122)


def test_what_follows_beside_different_ids_or_from_different_parts_is_different():
    ids = Ids(VirtualClock())
    made = {
        derived_beside(id_, "push", state, attempt)
        for id_ in [ids.new() for _ in range(1000)]
        for state in ("sent", "held")
        for attempt in (1, 2)
    }
    assert len(made) == 4000

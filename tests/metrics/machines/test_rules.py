"""Clicks that come together, and clicks that come too soon."""

from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from services.metrics.machines.rules import Click, all_links, is_early

START = datetime(2026, 3, 2, tzinfo=UTC)


def clicks(*made: tuple[float, int]) -> list[Click]:
    return [
        Click(UUID(int=number), START + timedelta(seconds=at), link)
        for number, (at, link) in enumerate(made, 1)
    ]


def caught(*made: tuple[float, int]) -> list[int]:
    return sorted(id_.int for id_ in all_links(clicks(*made)))


class TestAllLinks:
    def test_three_links_within_two_seconds(self) -> None:
        assert caught((0, 1), (0.9, 2), (1.9, 3)) == [1, 2, 3]

    def test_a_reader_who_takes_a_second_for_each(self) -> None:
        assert caught((0, 1), (1.2, 2), (2.4, 3)) == []

    def test_two_links_that_no_hand_is_quick_enough_for(self) -> None:
        assert caught((0, 1), (0.3, 2)) == [1, 2]
        assert caught((0, 1), (0.7, 2)) == []

    def test_the_same_link_again_and_again_is_an_impatient_person(self) -> None:
        assert caught((0, 1), (0.1, 1), (0.2, 1), (0.4, 1)) == []

    def test_only_the_stretch_is_caught(self) -> None:
        made = ((0, 1), (60, 1), (60.1, 2), (60.2, 3), (120, 2))
        assert caught(*made) == [2, 3, 4]

    def test_the_order_of_arrival_does_not_matter(self) -> None:
        made = clicks((0, 1), (0.5, 2), (1.0, 3), (1.5, 1), (9, 2))
        expected = all_links(made)
        for seed in range(20):
            assert all_links(Random(seed).sample(made, len(made))) == expected

    def test_a_flood_is_handled_in_linear_time(self) -> None:
        flood = clicks(*((number / 1e5, number % 2) for number in range(60_000)))
        assert len(all_links(flood)) == 60_000


def test_early_is_measured_from_sending() -> None:
    within = timedelta(seconds=3)
    assert is_early(START + timedelta(seconds=2.9), START, within)
    assert is_early(START - timedelta(seconds=1), START, within)
    assert not is_early(START + timedelta(seconds=3), START, within)
    assert not is_early(START, None, within)


def test_without_a_time_nothing_is_early() -> None:
    assert not is_early(START - timedelta(seconds=1), START, timedelta(0))

"""Quiet hours in every zone, over midnight, and on the days when clocks are changed."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from services.push.policy.quiet import quiet_until, zone_of

NIGHT = (time(21), time(8))


def at(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("local", "hours", "until"),
    [
        ((2026, 3, 2, 20, 59), NIGHT, None),
        ((2026, 3, 2, 21, 0), NIGHT, (2026, 3, 3, 8, 0)),
        ((2026, 3, 2, 23, 59), NIGHT, (2026, 3, 3, 8, 0)),
        ((2026, 3, 3, 0, 0), NIGHT, (2026, 3, 3, 8, 0)),
        ((2026, 3, 3, 7, 59), NIGHT, (2026, 3, 3, 8, 0)),
        ((2026, 3, 3, 8, 0), NIGHT, None),
        ((2026, 3, 3, 13, 0), (time(12), time(14)), (2026, 3, 3, 14, 0)),
        ((2026, 3, 3, 14, 0), (time(12), time(14)), None),
        ((2026, 3, 3, 3, 0), (time(9), time(9)), None),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/St_Johns", "Pacific/Chatham", "UTC"])
def test_quiet_hours_are_the_persons(zone: str, local: tuple, hours: tuple, until: tuple | None):
    found = quiet_until(at(zone, *local), ZoneInfo(zone), *hours)
    assert found == (at(zone, *until) if until else None)


def test_in_spring_an_end_that_does_not_exist_is_found():
    # 2026-03-29 in Berlin: 02:00 becomes 03:00
    zone = ZoneInfo("Europe/Berlin")
    now = at("Europe/Berlin", 2026, 3, 29, 1, 0)
    until = quiet_until(now, zone, time(22), time(2, 30))
    assert until is not None
    assert until > now
    assert quiet_until(until, zone, time(22), time(2, 30)) is None


def test_in_autumn_the_hour_that_comes_twice_is_quiet_twice():
    # 2026-10-25 in Berlin: 03:00 becomes 02:00
    zone = ZoneInfo("Europe/Berlin")
    hours = (time(22), time(2, 30))
    now = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    until = quiet_until(now, zone, *hours)
    assert until == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert quiet_until(until, zone, *hours) is None


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_the_end_always_lies_ahead_and_is_not_quiet(zone: str):
    place = ZoneInfo(zone)
    for month, day in ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1)):
        for minute in range(0, 24 * 60, 10):
            now = datetime(2026, month, day, minute // 60, minute % 60, tzinfo=UTC)
            for hours in (NIGHT, (time(22), time(2, 30)), (time(1, 15), time(3, 45))):
                until = quiet_until(now, place, *hours)
                if until is not None:
                    assert until > now
                    again = quiet_until(until, place, *hours)
                    assert again is None or again > until


def test_an_unknown_zone_is_the_installations():
    shanghai = ZoneInfo("Asia/Shanghai")
    assert zone_of(None, shanghai) is shanghai
    assert zone_of("Mars/Olympus", shanghai) is shanghai
    assert zone_of("../etc/passwd", shanghai) is shanghai
    assert zone_of("Europe/Paris", shanghai) == ZoneInfo("Europe/Paris")

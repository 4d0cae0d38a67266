"""The cap: so many marketing messages a day and a week to one person, over all campaigns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from services.push.policy import repository
from services.push.policy.asks import Decision, hold
from services.push.policy.repository import Slot


@dataclass(frozen=True, slots=True)
class Caps:
    """How many messages a day and a week of `zone`; 0: any number."""

    zone: ZoneInfo
    day: int
    week: int

    def begin(self, day: date) -> datetime:
        """When a day begins."""
        return datetime.combine(day, time(), tzinfo=self.zone).astimezone(UTC)


@dataclass(slots=True)
class _Taken:
    """The numbers that a profile has used this week and today."""

    week: set[int] = field(default_factory=set)
    day: set[int] = field(default_factory=set)


def _free(taken: set[int]) -> int:
    return next(number for number in range(len(taken) + 1) if number not in taken)


def reserve(
    session: Session, people: Mapping[UUID, UUID], now: datetime, caps: Caps
) -> dict[UUID, Decision]:
    """Take a slot for each delivery of `people` (delivery → profile); the refusals of those without one.

    Another transaction may take the same number at the same time: then we look again.
    """
    today = now.astimezone(caps.zone).date()
    monday = today - timedelta(days=today.weekday())
    refused: dict[UUID, Decision] = {}
    # for most people it is the first of the week: that is tried without looking
    first = [Slot(profile, monday, 0, today, 0, id_) for id_, profile in people.items()]
    got = repository.reserve_slots(session, first)
    left = {id_: profile for id_, profile in people.items() if id_ not in got}
    while left:
        taken = _taken(session, left, monday, today)
        wanted: list[Slot] = []
        for delivery_id, profile_id in left.items():
            used = taken.setdefault(profile_id, _Taken())
            week_slot, day_slot = _free(used.week), _free(used.day)
            if caps.week and week_slot >= caps.week:
                refused[delivery_id] = hold("cap_week", caps.begin(monday + timedelta(days=7)))
            elif caps.day and day_slot >= caps.day:
                refused[delivery_id] = hold("cap_day", caps.begin(today + timedelta(days=1)))
            else:
                used.week.add(week_slot)
                used.day.add(day_slot)
                wanted.append(Slot(profile_id, monday, week_slot, today, day_slot, delivery_id))
        got = repository.reserve_slots(session, wanted) if wanted else set()
        left = {slot.delivery_id: slot.profile_id for slot in wanted if slot.delivery_id not in got}
    return refused


def _taken(
    session: Session, left: Mapping[UUID, UUID], monday: date, today: date
) -> dict[UUID, _Taken]:
    taken: dict[UUID, _Taken] = {}
    rows = repository.taken_slots(session, sorted(set(left.values())), monday)
    for profile_id, week_slot, day, day_slot in rows:
        used = taken.setdefault(profile_id, _Taken())
        used.week.add(week_slot)
        if day == today:
            used.day.add(day_slot)
    return taken

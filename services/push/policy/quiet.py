"""Quiet hours: the times of a person's day at which nobody writes to them."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def zone_of(name: str | None, default: ZoneInfo) -> ZoneInfo:
    """The zone of that name; the installation's for none or an unknown one."""
    return default if name is None else _zone(name) or default


def quiet_until(now: datetime, zone: ZoneInfo, start: time, end: time) -> datetime | None:
    """When the quiet hours that `now` lies in are over; None outside of them.

    `start` belongs to them, `end` does not; equal ones mean that there are none.
    """
    local = now.astimezone(zone)
    clock = local.time()
    over_midnight = start > end
    if start == end:
        return None
    quiet = (clock >= start or clock < end) if over_midnight else start <= clock < end
    if not quiet:
        return None
    day = local.date() + timedelta(days=1) if over_midnight and clock >= start else local.date()
    over = datetime.combine(day, end, tzinfo=zone).astimezone(UTC)
    if over <= now:
        # the hour that is told twice in autumn: its second telling is quiet, too
        over = datetime.combine(day, end, tzinfo=zone).replace(fold=1).astimezone(UTC)
    return over

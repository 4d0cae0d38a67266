"""Ids that follow from what made them, and the zone a person lives in."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

from services.shared.clock import to_micros
from services.shared.ids import derived

_CHINA = "Asia/Shanghai"


def profile_id_of(lead_id: UUID, submitted_at: datetime) -> UUID:
    """The id of the profile that a lead makes: handling the lead again gives the same one.

    It is a UUIDv7 of the lead's time, so that new people stand together in the database.
    """
    noise = derived("profile", lead_id).int
    millis = to_micros(submitted_at) // 1000
    value = (millis & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76 | ((noise >> 64) & 0xFFF) << 64
    value |= 0b10 << 62 | (noise & 0x3FFF_FFFF_FFFF_FFFF)
    return UUID(int=value)


@lru_cache(maxsize=1024)
def known_zone(name: str) -> str | None:
    """The name, if there is such a time zone."""
    if not name or name.startswith(("/", ".")) or len(name) > 64:
        return None
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        return None


def zone_of_phones(numbers: Iterable[str]) -> str | None:
    """The time zone of the first number (E.164) whose region has exactly one."""
    for number in numbers:
        zone = _zone_of_phone(number[:9])
        if zone is not None:
            return zone
    return None


@lru_cache(maxsize=4096)
def _zone_of_phone(prefix: str) -> str | None:
    if prefix.startswith("+86"):
        return _CHINA
    # imported here: its tables are large and most installations meet one country only
    from phonenumbers import NumberParseException, parse
    from phonenumbers.timezone import time_zones_for_geographical_number

    try:
        zones = time_zones_for_geographical_number(parse(prefix.ljust(9, "0")))
    except NumberParseException:
        return None
    return known_zone(zones[0]) if len(zones) == 1 else None

"""A person's time zone: what they said, else their phone's region."""

from collections.abc import Sequence
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.shared.contact import Channel
from services.shared.events.parts import ProfileContactPart


def zone_of_person(said: str | None, contacts: Sequence[ProfileContactPart]) -> str | None:
    """The name of the zone; None: nothing tells it, the installation's counts."""
    if said and _known(said):
        return said
    phones = [contact.identity for contact in contacts if contact.channel is Channel.PHONE]
    return _of_phone(phones[0]) if phones else None


@lru_cache(maxsize=1024)
def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _of_phone(number: str) -> str | None:
    if number.startswith("+86"):
        return "Asia/Shanghai"
    # imported here: megabytes that only the first foreign number has to pay
    import phonenumbers
    from phonenumbers.timezone import time_zones_for_number

    try:
        zones = time_zones_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    known = [zone for zone in zones if zone != "Etc/Unknown" and _known(zone)]
    return known[0] if known else None

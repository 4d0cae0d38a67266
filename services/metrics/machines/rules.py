"""What several engagements show together, and how early they came."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

EARLY, ALL_LINKS = "early", "all_links"

PAIR_WITHIN = timedelta(seconds=0.5)
"""Two different links of one message so close together: no hand does that."""

MANY, MANY_WITHIN = 3, timedelta(seconds=2)
"""So many different links of one message within this time: something follows them all."""


class Click(NamedTuple):
    """A click on one message's link."""

    id: UUID
    at: datetime
    link: int


def is_early(at: datetime, sent_at: datetime | None, within: timedelta) -> bool:
    """Whether something happened sooner after sending than a person can."""
    # the mail server's answer is written a little after somebody quick has opened: 0 switches this off
    return bool(within) and sent_at is not None and at - sent_at < within


def all_links(clicks: Iterable[Click]) -> set[UUID]:
    """Those clicks of one message that were made by something that follows every link."""
    ordered = sorted(clicks, key=lambda click: (click.at, click.id))
    return _bunched(ordered, 2, PAIR_WITHIN) | _bunched(ordered, MANY, MANY_WITHIN)


def _bunched(ordered: Sequence[Click], links: int, within: timedelta) -> set[UUID]:
    """The clicks of every stretch of `within` that has so many different links. Linear in the clicks."""
    found: set[UUID] = set()
    inside: Counter[int] = Counter()
    start = marked = 0
    for end, last in enumerate(ordered):
        inside[last.link] += 1
        while last.at - ordered[start].at > within:
            inside[ordered[start].link] -= 1
            if not inside[ordered[start].link]:
                del inside[ordered[start].link]
            start += 1
        if len(inside) >= links:
            found.update(click.id for click in ordered[max(start, marked) : end + 1])
            marked = end + 1
    return found

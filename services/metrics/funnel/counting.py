"""Counting: raw events are written and the totals move in the same transaction.

The totals do not depend on the order in which events are handled, so that a rebuild gives the same.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.metrics.funnel import repository
from services.metrics.funnel.repository import Cell, FirstKey
from services.metrics.funnel.stages import (
    RESOLVED,
    SETTLES_UNKNOWN,
    UNKNOWN,
    Days,
    Dimensions,
    Raw,
    Share,
    place_of,
    shares,
)

_ALL = ""
_CHUNK = 5000


class Tally:
    """Changes to the totals, collected and written at once."""

    def __init__(self, days: Days) -> None:
        self._days = days
        self._cells: dict[Cell, list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(self, share: Share, at: datetime, sign: int = 1) -> None:
        """Count a share on its day and in the sum of all days."""
        if not (share.number or share.amount):
            return
        for day in (self._days.of(at), _ALL):
            cell = self._cells[(day, share.stage, *share.place, share.part)]
            cell[0] += sign * share.number
            cell[2] += sign * share.amount

    def subject(self, stage: str, place: Dimensions, at: datetime, change: int) -> None:
        """Count a subject whose first event of a stage was at `at` (or no longer is)."""
        for day in (self._days.of(at), _ALL):
            self._cells[(day, stage, *place, "")][1] += change

    def write(self, session: Session) -> None:
        cells = {cell: values for cell, values in self._cells.items() if any(values)}
        if cells:
            repository.add_totals(session, cells)
        self._cells.clear()


class Counting:
    """Writes raw events and keeps the totals beside them."""

    def __init__(self, days: Days) -> None:
        self._days = days

    def record(self, session: Session, raws: Sequence[Raw]) -> list[Raw]:
        """Write those that are new and count them. The new ones, in order."""
        if not raws:
            return []
        known = repository.known_events(session, [raw.id for raw in raws])
        fresh: list[Raw] = []
        for raw in raws:
            if raw.id not in known:
                known.add(raw.id)
                fresh.append(raw)
        if fresh:
            repository.add_events(session, fresh)
            tally = Tally(self._days)
            self._count(session, tally, fresh)
            tally.write(session)
        return fresh

    def revise(self, session: Session, pairs: Iterable[tuple[Raw, Raw]]) -> None:
        """Put new readings (class, credit) in place of old ones; what was counted stays counted."""
        tally = Tally(self._days)
        touched: dict[FirstKey, Dimensions] = {}
        for old, new in pairs:
            repository.replace_event(session, new)
            for share in shares(old):
                tally.add(share, old.occurred_at, -1)
            for share in shares(new):
                tally.add(share, new.occurred_at)
            for raw in (old, new):
                if raw.subject is not None:
                    touched[raw.subject, raw.stage] = _place(raw)
        for key, place in touched.items():
            self._remark(session, tally, key, place)
        tally.write(session)

    def rebuild(self, session: Session) -> int:
        """Work out all totals anew from the raw events; how many there were."""
        repository.clear_totals(session)
        seen = 0
        for raws in repository.in_order_of_id(session, _CHUNK):
            tally = Tally(self._days)
            self._count(session, tally, raws)
            tally.write(session)
            seen += len(raws)
        return seen

    def _count(self, session: Session, tally: Tally, raws: Sequence[Raw]) -> None:
        candidates: dict[FirstKey, tuple[datetime, Dimensions]] = {}
        for raw, number, amount in self._alike(raws):
            summed = raw._replace(number=number, amount=amount)
            for share in shares(summed):
                tally.add(share, raw.occurred_at)
        places: dict[tuple[str, UUID | None, UUID | None], Dimensions] = {}
        for raw in raws:
            subject, stage, at = raw.subject, raw.stage, raw.occurred_at
            if subject is None or not stage or raw.machine or raw.void:
                continue
            best = candidates.get((subject, stage))
            if best is None or at < best[0]:
                where = (raw.channel, raw.bait_id, raw.campaign_id)
                place = places.get(where) or places.setdefault(where, place_of(*where))
                candidates[subject, stage] = (at, place)
        if candidates:
            self._mark(session, tally, candidates)

    def _alike(self, raws: Iterable[Raw]) -> Iterable[tuple[Raw, int, int]]:
        """One of each kind that goes into the same cells, with the sums of number and amount."""
        sums: dict[tuple[Any, ...], tuple[Raw, int, int]] = {}
        day_of = self._days.of
        for raw in raws:
            if not raw.stage:
                continue
            # all that `shares` looks at, but number and amount, and the day
            alike = (
                raw.stage,
                raw.channel,
                raw.bait_id,
                raw.campaign_id,
                raw.machine,
                raw.void,
                raw.joined,
                raw.reason,
                raw.currency,
                day_of(raw.occurred_at),
            )
            one, number, amount = sums.get(alike) or (raw, 0, 0)
            sums[alike] = (one, number + raw.number, amount + (raw.amount or 0))
        return sums.values()

    def _mark(
        self,
        session: Session,
        tally: Tally,
        candidates: dict[FirstKey, tuple[datetime, Dimensions]],
    ) -> None:
        """Move the firsts of subjects forward to earlier events."""
        known = repository.firsts(session, list({subject for subject, _ in candidates}))
        candidates |= _resolved(known, candidates)
        changed: dict[FirstKey, datetime] = {}
        for key, (at, place) in candidates.items():
            old = known.get(key)
            if old is not None and old <= at:
                continue
            if old is not None:
                tally.subject(key[1], place, old, -1)
            tally.subject(key[1], place, at, 1)
            changed[key] = at
        if changed:
            repository.put_firsts(session, changed)

    def _remark(self, session: Session, tally: Tally, key: FirstKey, place: Dimensions) -> None:
        """Find a first anew, after one of its events no longer counts."""
        old = repository.firsts(session, [key[0]]).get(key)
        new = repository.earliest(session, key)
        if old == new:
            return
        if old is not None:
            tally.subject(key[1], place, old, -1)
        if new is None:
            repository.drop_first(session, key)
        else:
            tally.subject(key[1], place, new, 1)
            repository.put_firsts(session, {key: new})


def _resolved(
    known: dict[FirstKey, datetime], candidates: dict[FirstKey, tuple[datetime, Dimensions]]
) -> dict[FirstKey, tuple[datetime, Dimensions]]:
    """When it became known what deliveries came to that were `unknown`."""
    unknown = {subject for subject, stage in (*known, *candidates) if stage == UNKNOWN}
    if not unknown:
        return {}
    moments: dict[UUID, dict[str, datetime]] = {subject: {} for subject in unknown}
    places: dict[UUID, Dimensions] = {}
    for (subject, stage), at in known.items():
        if subject in unknown:
            moments[subject][stage] = at
    for (subject, stage), (at, place) in candidates.items():
        if subject in unknown:
            places[subject] = place
            moments[subject][stage] = min(at, moments[subject].get(stage, at))
    found: dict[FirstKey, tuple[datetime, Dimensions]] = {}
    for subject, place in places.items():
        stages = moments[subject]
        settled = [stages[stage] for stage in SETTLES_UNKNOWN if stage in stages]
        if settled and UNKNOWN in stages:
            found[subject, RESOLVED] = (max(stages[UNKNOWN], min(settled)), place)
    return found


def _place(raw: Raw) -> Dimensions:
    return place_of(raw.channel, raw.bait_id, raw.campaign_id)

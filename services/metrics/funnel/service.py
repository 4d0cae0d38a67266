"""The funnel desk: reports from the totals, and the totals from the raw events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from sqlmodel import Session

from services.metrics.funnel import report, repository
from services.metrics.funnel.counting import Counting
from services.metrics.funnel.report import By, CellSum
from services.metrics.funnel.schemas import FunnelItem, FunnelReport, Unattributed
from services.metrics.funnel.stages import Days
from services.metrics.settings import MetricsSettings
from services.shared.database import Database
from services.shared.ground import Ground

_DAYS_BY_DEFAULT = 90
_FIRST, _LAST = "0001-01-01", "9999-12-31"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the funnel. Days are inclusive; `bait` is a slug or an id."""

    by: By = "bait"
    since: date | None = None
    until: date | None = None
    bait: str | None = None
    campaign: str | None = None
    after: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Latest:
    """The sums of everything, and the funnels of the baits and campaigns that were heard of last."""

    all: FunnelItem
    unattributed: Unattributed
    baits: Sequence[FunnelItem]
    campaigns: Sequence[FunnelItem]


class FunnelDesk:
    """Answers questions about the funnel."""

    def __init__(self, ground: Ground[MetricsSettings], rule: tuple[str, str]) -> None:
        self._ground = ground
        self._days = Days(ground.settings.zone)
        self._rule = rule

    async def report(self, question: Question, *, chinese: bool = False) -> FunnelReport:
        """The report, from one consistent look at the totals."""
        days = self._range(question)
        found, names = await self._ground.database.scan(
            lambda session: _look(session, question, days)
        )
        rows = report.items(found, question.by, names)
        if question.by == "day":
            rows.reverse()
        keys = [row.key for row in rows]
        start = keys.index(question.after) + 1 if question.after in keys else 0
        page = rows[start : start + question.limit]
        more = start + question.limit < len(rows)
        return FunnelReport(
            by=question.by,
            timezone=self._ground.settings.timezone,
            rule=self._rule[0 if chinese else 1],
            all=report.item("all", "all", found),
            unattributed=report.unattributed(found),
            items=page,
            next=page[-1].key if more and page else None,
        )

    async def latest(self, number: int) -> Latest:
        """What the start page shows: the newest `number` of each, newest first, in one look."""
        return await self._ground.database.scan(lambda session: _latest(session, number))

    def _range(self, question: Question) -> tuple[str, str] | None:
        since, until = question.since, question.until
        if since is None and until is None:
            if question.by != "day":
                return None
            today = date.fromisoformat(self._days.of(self._ground.clock.now()))
            since = today - timedelta(days=_DAYS_BY_DEFAULT - 1)
        return (
            since.isoformat() if since else _FIRST,
            until.isoformat() if until else _LAST,
        )


def _look(
    session: Session, question: Question, days: tuple[str, str] | None
) -> tuple[list[CellSum], dict[tuple[str, str], str]]:
    known = repository.names(session)
    labels = {(name.kind, name.thing): name.label for name in known}
    bait = question.bait or ""
    for name in known:
        if name.kind == "bait" and name.label == bait:
            bait = name.thing
    rows = repository.cells(session, days, question.by == "day", bait, question.campaign or "")
    return _sums(rows), labels


def _latest(session: Session, number: int) -> Latest:
    known = sorted(repository.names(session), key=lambda name: name.seen_at, reverse=True)
    labels = {(name.kind, name.thing): name.label for name in known}
    found = _sums(repository.cells(session, None, by_day=False))

    def newest(kind: Literal["bait", "campaign"]) -> list[FunnelItem]:
        things = [name.thing for name in known if name.kind == kind][:number]
        items = {item.key: item for item in report.items(found, kind, labels, things)}
        return [items[thing] for thing in things if thing in items]

    return Latest(
        report.item("all", "all", found),
        report.unattributed(found),
        newest("bait"),
        newest("campaign"),
    )


def _sums(rows: Iterable[Any]) -> list[CellSum]:
    return [CellSum(*row[:6], *(int(value) for value in row[6:])) for row in rows]


async def rebuild_totals(database: Database, counting: Counting) -> int:
    """Work out all totals anew from the raw events, in one transaction; how many events there were.

    Meant for a time when the service does not run: on SQLite nothing else happens meanwhile.
    """
    return await database.transaction(counting.rebuild)

"""From cells to a report: what is shown of each bait, campaign, channel and day."""

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from typing import Literal, NamedTuple

from services.metrics.funnel.schemas import Funnel, FunnelItem, Money, Stage, Unattributed
from services.metrics.funnel.stages import (
    CLICKED,
    CONVERTED,
    DISPLAYED,
    DROPPED,
    FAILED,
    INQUIRED,
    JOINED,
    MACHINE,
    OPENED,
    RECLASSIFIED,
    REFUNDED,
    RESOLVED,
    SENT,
    SUBMITTED,
    UNATTRIBUTED,
    UNKNOWN,
    UNSUBSCRIBED,
    VERIFIED,
    WEB,
)

By = Literal["bait", "campaign", "channel", "day"]

BAIT_STAGES = (DISPLAYED, SUBMITTED, VERIFIED, OPENED, INQUIRED, CONVERTED)
MESSAGE_STAGES = (SENT, DISPLAYED, CLICKED, INQUIRED, CONVERTED, UNSUBSCRIBED)
MAIL_STAGES = (SENT, DISPLAYED, CLICKED, UNSUBSCRIBED, FAILED, DROPPED, UNKNOWN)
BESIDE = (FAILED, DROPPED, UNKNOWN, "delivered", "bounced", "complained", REFUNDED, RECLASSIFIED)


class CellSum(NamedTuple):
    """A cell, summed over the days that were asked for (`day` is "" unless by day)."""

    day: str
    stage: str
    channel: str
    bait: str
    campaign: str
    part: str
    number: int
    subjects: int
    amount: int


_KEYS: dict[By, Callable[[CellSum], str]] = {
    "bait": lambda cell: cell.bait if not cell.campaign else "",
    "campaign": lambda cell: cell.campaign,
    "channel": lambda cell: cell.channel,
    "day": lambda cell: cell.day,
}


def items(
    cells: Iterable[CellSum],
    by: By,
    labels: dict[tuple[str, str], str],
    only: Container[str] | None = None,
) -> list[FunnelItem]:
    """One item for each key (of those in `only`), in order of the key."""
    grouped: dict[str, list[CellSum]] = defaultdict(list)
    for cell in cells:
        key = _KEYS[by](cell)
        if key and (only is None or key in only):
            grouped[key].append(cell)
    return [item(key, labels.get((by, key), key), grouped[key]) for key in sorted(grouped)]


def item(key: str, label: str, cells: Sequence[CellSum]) -> FunnelItem:
    """The funnels of some cells: of baits, of campaigns, and of messages that are of neither."""
    of_baits = [cell for cell in cells if cell.bait and not cell.campaign]
    of_campaigns = [cell for cell in cells if cell.campaign]
    others = [
        cell
        for cell in cells
        if not cell.bait and not cell.campaign and not cell.stage.startswith((UNATTRIBUTED, JOINED))
    ]
    return FunnelItem(
        key=key,
        label=label,
        bait=_bait_funnel(of_baits) if of_baits else None,
        campaign=_message_funnel(of_campaigns) if of_campaigns else None,
        other=_message_funnel(others) if others else None,
    )


def unattributed(cells: Iterable[CellSum]) -> Unattributed:
    """Reports whose person did not appear yet."""
    sums = _Sums(cells)

    def waiting(stage: str) -> int:
        return sums.number[UNATTRIBUTED + stage] - sums.number[JOINED + stage]

    return Unattributed(
        inquired=waiting(INQUIRED),
        converted=waiting(CONVERTED) - waiting(REFUNDED),
        money=[
            money
            for money in (
                _money(
                    currency,
                    sums.amount[UNATTRIBUTED + CONVERTED, currency]
                    - sums.amount[JOINED + CONVERTED, currency],
                    sums.amount[UNATTRIBUTED + REFUNDED, currency]
                    - sums.amount[JOINED + REFUNDED, currency],
                )
                for currency in sums.currencies()
            )
            if money.paid or money.refunded
        ],
    )


class _Sums:
    """Sums by stage, and by stage and part."""

    def __init__(self, cells: Iterable[CellSum]) -> None:
        self.number: dict[str, int] = defaultdict(int)
        self.subjects: dict[str, int] = defaultdict(int)
        self.amount: dict[tuple[str, str], int] = defaultdict(int)
        self.parts: dict[str, dict[str, int]] = defaultdict(dict)
        for cell in cells:
            self.number[cell.stage] += cell.number
            self.subjects[cell.stage] += cell.subjects
            self.amount[cell.stage, cell.part] += cell.amount
            if cell.part and cell.number:
                parts = self.parts[cell.stage]
                parts[cell.part] = parts.get(cell.part, 0) + cell.number

    def currencies(self) -> list[str]:
        """The currencies in which there is money."""
        return sorted(
            {part for (_, part), amount in self.amount.items() if amount and len(part) == 3}
        )

    def total(self, stage: str) -> int:
        """Events of people, without what was taken back, corrected or cleared up."""
        if stage == CLICKED:
            return self.number[CLICKED] - self.number[RECLASSIFIED]
        if stage == CONVERTED:
            return self.number[CONVERTED] - self.number[REFUNDED]
        if stage == UNKNOWN:
            return self.subjects[UNKNOWN] - self.subjects[RESOLVED]
        return self.number[stage]

    def distinct(self, stage: str) -> int:
        return self.total(UNKNOWN) if stage == UNKNOWN else self.subjects[stage]


def _bait_funnel(cells: Sequence[CellSum]) -> Funnel:
    drawn = [c for c in cells if c.channel == WEB or c.stage not in (*MAIL_STAGES, *_OF_MACHINES)]
    sums, mail = _Sums(drawn), _Sums(c for c in cells if c.channel != WEB)
    forms, leads = sums.number[DISPLAYED], sums.subjects[SUBMITTED]
    stages = {
        stage: _stage(sums, stage, forms if stage == SUBMITTED else leads) for stage in BAIT_STAGES
    }
    stages[DISPLAYED].rate = None
    stages[DISPLAYED].distinct = forms
    sent = mail.subjects[SENT]
    return Funnel(
        stages=stages,
        beside={REFUNDED: sums.number[REFUNDED]},
        dropped_reasons=dict(mail.parts[DROPPED]),
        mail={stage: _stage(mail, stage, sent) for stage in MAIL_STAGES},
        money=_all_money(sums),
    )


_OF_MACHINES = (MACHINE + DISPLAYED, MACHINE + CLICKED)


def _message_funnel(cells: Sequence[CellSum]) -> Funnel:
    sums = _Sums(cells)
    sent = sums.subjects[SENT]
    return Funnel(
        stages={stage: _stage(sums, stage, sent) for stage in MESSAGE_STAGES},
        beside={stage: sums.total(stage) for stage in BESIDE},
        dropped_reasons=dict(sums.parts[DROPPED]),
        money=_all_money(sums),
    )


def _stage(sums: _Sums, stage: str, of: int) -> Stage:
    distinct = sums.distinct(stage)
    return Stage(
        total=sums.total(stage),
        counted=sums.number[stage],
        distinct=distinct,
        rate=round(distinct / of, 6) if of else None,
        machine=sums.number[MACHINE + stage],
        machine_reasons=dict(sorted(sums.parts[MACHINE + stage].items())),
    )


def _all_money(sums: _Sums) -> list[Money]:
    return [
        _money(currency, sums.amount[CONVERTED, currency], sums.amount[REFUNDED, currency])
        for currency in sums.currencies()
    ]


def _money(currency: str, paid: int, refunded: int) -> Money:
    return Money(currency=currency, paid=paid, refunded=refunded, net=paid - refunded)

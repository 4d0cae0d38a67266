"""What the start page shows: the four services, the funnel, what waits, what is new."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.metrics.funnel.schemas import Funnel, FunnelItem, Money, Unattributed
from services.metrics.funnel.service import FunnelDesk
from services.metrics.settings import MetricsSettings
from services.metrics.waiting import repository as waiting
from services.metrics.waiting.repository import WaitingState
from services.shared.clock import Clock
from services.shared.ground import Ground
from services.shared.http.internal import InternalClient, ServiceUnreachable

SERVICES = ("capture", "profile", "push", "metrics")

_FRESH = 1.5
_ASK_SECONDS = 1.5
_NEWEST = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Gauge:
    """One number that a service watches, named by the words for it (zh-CN, en)."""

    words: tuple[str, str]
    value: float
    level: str
    """good, warn or bad."""
    note: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Figures:
    """The numbers of the start page."""

    bait: Funnel | None
    campaign: Funnel | None
    money: Sequence[Money]
    unattributed: Unattributed
    baits: Sequence[FunnelItem]
    campaigns: Sequence[FunnelItem]
    gauges: Sequence[Gauge]


class Fresh(Generic[T]):
    """A value that is read again when it is older than seconds; who comes meanwhile waits for it."""

    def __init__(self, clock: Clock, read: Callable[[], Awaitable[T]]) -> None:
        self._clock = clock
        self._read = read
        self._lock = asyncio.Lock()
        self._kept: tuple[float, T] | None = None

    async def value(self) -> T:
        async with self._lock:
            now = self._clock.monotonic()
            if self._kept is None or now - self._kept[0] > _FRESH:
                self._kept = (now, await self._read())
            return self._kept[1]


class Overview:
    """Reads what the start page shows."""

    def __init__(self, ground: Ground[MetricsSettings], desk: FunnelDesk) -> None:
        self._ground = ground
        self._desk = desk
        self.states = Fresh(ground.clock, self._states)
        self.figures = Fresh(ground.clock, self._figures)

    async def _states(self) -> dict[str, bool]:
        """Which of the four services say that they are ready."""
        answers = await asyncio.gather(*(self._ready(name) for name in SERVICES))
        return dict(zip(SERVICES, answers, strict=True))

    async def _ready(self, name: str) -> bool:
        client = self._ground.neighbours.get(name)
        if client is None:
            return False
        return await _asked(client, "/health/ready") is not None

    async def _figures(self) -> Figures:
        latest = await self._desk.latest(_NEWEST)
        state = await self._ground.database.read(waiting.state)
        gauges = await self._gauges(state)
        return Figures(
            latest.all.bait,
            latest.all.campaign,
            _together(latest.all),
            latest.unattributed,
            latest.baits,
            latest.campaigns,
            gauges,
        )

    async def _gauges(self, state: WaitingState) -> list[Gauge]:
        """What waits anywhere: each service is asked; one process tells the same four times."""
        clients = [self._ground.neighbours.get(name) for name in SERVICES]
        answers = await asyncio.gather(
            *(_asked(client, "/internal/gauges") for client in clients if client)
        )
        samples: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        for answer in answers:
            for sample in answer or ():
                key = (sample["name"], tuple(sorted(sample["labels"].items())))
                if sample["value"] is not None:
                    samples[key] = max(sample["value"], samples.get(key, 0.0))
        sums: dict[str, float] = defaultdict(float)
        most: dict[str, float] = defaultdict(float)
        for (name, labels), value in samples.items():
            sums[name] += value
            most[name] = max(value, most[name])
            if name == "baitwell_deliveries":
                sums[f"{name}:{dict(labels).get('state')}"] += value
        return _told(sums, most, state)


async def _asked(client: InternalClient, path: str) -> Any:
    """The answer, or None when there is none in time."""
    with suppress(ServiceUnreachable, TimeoutError):
        async with asyncio.timeout(_ASK_SECONDS):
            return await client.get(path)
    return None


def _together(everything: FunnelItem) -> list[Money]:
    """The money of all funnels, by currency."""
    found: dict[str, Money] = {}
    for part in (everything.bait, everything.campaign, everything.other):
        for money in part.money if part else ():
            kept = found.setdefault(
                money.currency, Money(currency=money.currency, paid=0, refunded=0, net=0)
            )
            kept.paid += money.paid
            kept.refunded += money.refunded
            kept.net += money.net
    return list(found.values())


def _told(sums: dict[str, float], most: dict[str, float], state: WaitingState) -> list[Gauge]:
    """The numbers in words, and whether somebody should look."""
    parked = sums["baitwell_parked_records"]
    age = most["baitwell_outbox_oldest_seconds"]
    lag = sums["baitwell_consumer_lag_records"]
    unknown = sums["baitwell_deliveries:unknown"]
    open_ = sum(sums[f"baitwell_deliveries:{s}"] for s in ("planned", "held", "claimed", "sending"))
    paused = sums["baitwell_dispatch_paused"]
    return [
        Gauge(("待处理事件", "Events to handle"), lag, _level(lag, 1000, 100_000)),
        Gauge(
            ("待发布消息", "Messages to publish"),
            sums["baitwell_outbox_messages"],
            _level(age, 5, 60),
            (f"最早的已等 {age:.0f} 秒", f"oldest {age:.0f} s") if age >= 1 else ("", ""),
        ),
        Gauge(
            ("搁置的记录", "Parked records"),
            parked,
            "bad" if parked else "good",
            ("python -m services parked list",) * 2 if parked else ("", ""),
        ),
        Gauge(("待发送投递", "Deliveries to send"), open_, "good"),
        Gauge(("结果不明的投递", "Deliveries unknown"), unknown, "warn" if unknown else "good"),
        Gauge(("暂停的通道", "Channels paused"), paused, "warn" if paused else "good"),
        Gauge(("待归类的互动", "Engagements to class"), state.uncounted, "good"),
        Gauge(("未归属的报告", "Reports of unknown people"), state.unattributed, "good"),
    ]


def _level(value: float, warn: float, bad: float) -> str:
    return "bad" if value >= bad else "warn" if value >= warn else "good"

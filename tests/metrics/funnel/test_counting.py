"""Totals against a plain oracle: any order, any batches, repeats, corrections, and a rebuild."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete

from services.metrics.funnel.counting import Counting
from services.metrics.funnel.models import First, RawEvent, Total
from services.metrics.funnel.stages import Days, Raw
from services.shared.database import Database
from tests.metrics.bench import Bench

ZONE = ZoneInfo("Asia/Shanghai")
START = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # an hour before midnight in the zone
Totals = dict[tuple[str, ...], tuple[int, int, int]]

# a subject's place is a function of the subject, as with deliveries and leads
PLACES = {
    UUID(int=n): (f"channel{n % 2}", UUID(int=100 + n % 3) if n % 2 else None, UUID(int=200))
    for n in range(1, 6)
}

STAGES = ("sent", "failed", "dropped", "unknown", "displayed", "clicked", "converted")


def stream(random: Random) -> list[Raw]:
    found = []
    for index in range(random.randint(1, 40)):
        subject = random.choice([*PLACES, None])
        channel, bait, campaign = PLACES[subject] if subject else ("web", UUID(int=101), None)
        stage = random.choice(STAGES)
        machine = stage in ("displayed", "clicked") and random.random() < 0.4
        sold = stage == "converted"
        found.append(
            Raw(
                UUID(int=1000 + index),
                f"test.{stage}",
                stage,
                START + timedelta(minutes=random.randint(0, 180)),
                subject,
                campaign,
                bait,
                channel,
                number=random.randint(1, 3) if subject is None else 1,
                machine=machine,
                reason="head" if machine else random.choice(["", "cap"]),
                amount=random.randint(0, 500) if sold else None,
                currency=random.choice(["CNY", "EUR"]) if sold else "",
            )
        )
    return found


def corrected(raw: Raw) -> Raw:
    """A click found to be a machine's, an order that was refunded."""
    if raw.stage == "clicked":
        return raw._replace(machine=True, void=True, reason="all_links")
    return raw._replace(void=True)


def oracle(final: list[Raw]) -> Totals:
    """What the totals must be, the slow way: from the final rows alone."""
    cells: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0, 0, 0])

    def add(at: datetime, stage: str, raw: Raw, part: str, change: tuple[int, int, int]) -> None:
        place = (raw.channel, str(raw.bait_id or ""), str(raw.campaign_id or ""))
        for day in (at.astimezone(ZONE).strftime("%Y-%m-%d"), ""):
            cell = cells[(day, stage, *place, part)]
            for index, value in enumerate(change):
                cell[index] += value

    for raw in final:
        if not raw.machine:
            part = raw.reason if raw.stage == "dropped" else raw.currency
            add(raw.occurred_at, raw.stage, raw, part, (raw.number, 0, raw.amount or 0))
            continue
        add(raw.occurred_at, f"machine_{raw.stage}", raw, raw.reason, (raw.number, 0, 0))
        if raw.void:
            add(raw.occurred_at, raw.stage, raw, "", (raw.number, 0, 0))
            add(raw.occurred_at, "reclassified", raw, "", (raw.number, 0, 0))
    for subject in PLACES:
        theirs = [r for r in final if r.subject == subject and not r.machine and not r.void]
        firsts: dict[str, datetime] = {}
        for raw in theirs:
            firsts[raw.stage] = min(raw.occurred_at, firsts.get(raw.stage, raw.occurred_at))
        settled = [firsts[s] for s in ("sent", "failed", "dropped") if s in firsts]
        if "unknown" in firsts and settled:
            firsts["resolved"] = max(firsts["unknown"], min(settled))
        for stage, at in firsts.items():
            add(at, stage, theirs[0], "", (0, 1, 0))
    return {key: (a, b, c) for key, (a, b, c) in cells.items() if a or b or c}


def stored(session: Any) -> Totals:
    rows = session.execute(Total.__table__.select()).all()  # type: ignore[attr-defined]
    return {tuple(row[:6]): tuple(row[6:]) for row in rows if any(row[6:])}


async def run(database: Database, random: Random) -> None:
    counting = Counting(Days(ZONE))
    await database.transaction(clear)
    events = stream(random)
    final = {raw.id: raw for raw in events}
    pending = random.sample(events, len(events)) + random.choices(events, k=4)
    while pending:
        size = random.randint(1, 12)
        batch, pending = pending[:size], pending[size:]
        await database.transaction(partial(counting.record, raws=batch))
        for raw in batch:
            open_ = final[raw.id] == raw and raw.stage in ("clicked", "converted")
            if open_ and not raw.machine and random.random() < 0.3:
                final[raw.id] = corrected(raw)
                pairs = [(raw, final[raw.id])]
                await database.transaction(partial(counting.revise, pairs=pairs))
    expected = oracle(list(final.values()))
    assert await database.read(stored) == expected
    assert await database.transaction(counting.rebuild) == len(events)
    assert await database.read(stored) == expected


def clear(session: Any) -> None:
    for model in (RawEvent, Total, First):
        session.execute(delete(model))


async def test_totals_are_what_an_oracle_says(both: Bench) -> None:
    for seed in range(80 if both.ground.database.dialect == "sqlite" else 15):
        try:
            await run(both.ground.database, Random(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}") from error


async def test_a_days_end_is_midnight_where_the_company_is(bench: Bench) -> None:
    raw = Raw(UUID(int=1), "test", "sent", START, UUID(int=1))
    later = raw._replace(id=UUID(int=2), occurred_at=START + timedelta(hours=1))
    await bench.ground.database.transaction(
        partial(bench.metrics.counting.record, raws=[raw, later])
    )
    days = {item["key"] for item in (await bench.funnel(by="day", to="2026-12-31"))["items"]}
    assert days == {"2026-03-02", "2026-03-03"}

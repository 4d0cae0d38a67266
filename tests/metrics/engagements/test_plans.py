"""What the settler asks in each of its turns goes by an index, however much waits and was counted."""

from uuid import uuid4

from services.metrics.engagements.events import CLICKED, TRACKED
from services.metrics.funnel import repository as funnel
from services.metrics.waiting import repository as waiting
from tests.metrics.bench import Bench
from tests.metrics.funnel.test_plans import plan

WAITING, RAW = "waiting_engagements", "raw_events"


async def test_every_look_of_the_settler_has_its_index(bench: Bench) -> None:
    now = bench.ground.clock.now()
    for read, table, index in (
        (lambda s: waiting.due(s, TRACKED, now, 9), WAITING, "waiting_by_due"),
        (lambda s: waiting.reports_due(s, now, 9), WAITING, "waiting_reports_by_due"),
        (lambda s: waiting.crowded(s, CLICKED, [uuid4()]), WAITING, "waiting_by_delivery"),
        (lambda s: funnel.clicks_since(s, [uuid4()], now), RAW, "raw_events_by_subject"),
        (lambda s: waiting.remove(s, [uuid4()]), WAITING, "sqlite_autoindex"),
    ):
        (step,) = [step for step in plan(bench, read) if table in step]
        assert step.startswith(f"SEARCH {table}")
        assert index in step

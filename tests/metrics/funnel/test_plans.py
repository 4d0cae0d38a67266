"""What pages and Prometheus read stays small: cells of the sum of all days, however many days and events there are."""

from typing import Any

from sqlmodel import Session

from services.metrics.funnel import repository
from tests.metrics.bench import Bench


def plan(bench: Bench, read: Any) -> list[str]:
    """The steps in which SQLite goes about what `read` asks."""
    asked: list[str] = []
    engine = bench.ground.database.writer  # type: ignore[attr-defined]  # SQLite's
    with Session(engine) as session:
        connection = session.connection()
        driver: Any = connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        read(session)
        driver.set_trace_callback(None)
        return [
            str(row[3])
            for statement in asked
            for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]


async def test_the_start_page_and_the_series_read_one_day_of_the_totals(bench: Bench) -> None:
    for read in (
        repository.series,
        lambda session: repository.cells(session, None, by_day=False),
    ):
        steps = plan(bench, read)
        tables = [step for step in steps if "SCAN" in step or "SEARCH" in step]
        assert tables == ["SEARCH totals USING INDEX sqlite_autoindex_totals_1 (day=?)"]


async def test_a_report_by_day_reads_its_days(bench: Bench) -> None:
    days = ("2026-01-01", "2026-03-31")
    steps = plan(bench, lambda session: repository.cells(session, days, by_day=True))
    assert steps[0] == "SEARCH totals USING INDEX sqlite_autoindex_totals_1 (day>? AND day<?)"

"""What the policy asks of a mail is found by the person or by what was planned together, in a ledger of any size."""

from pathlib import Path
from typing import Any

from sqlmodel import Session

from services.push.campaigns import repository as planning
from services.push.policy import repository, rivals
from services.push.sets import Ready, RowSet
from services.shared.clock import EPOCH
from tests.ground import sqlite_database


async def steps(folder: Path, given: RowSet | None, statement: Any) -> list[str]:
    """How SQLite goes about a statement, but for taking the given rows apart."""
    database = sqlite_database(folder / "push.sqlite", "push")
    with Session(database.writer) as session:
        asked: list[str] = []
        driver: Any = session.connection().connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        parameters = given.bind([]) if given else {}
        parameters |= {"cause": "run", "run": "run", "day_end": EPOCH}
        (statement if isinstance(statement, Ready) else Ready(statement)).rows(session, parameters)
        driver.set_trace_callback(None)
        found = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    await database.close()
    looks = [step for step in found if "SEARCH" in step or "SCAN" in step]
    return [step for step in looks if "VIRTUAL TABLE" not in step]


async def test_a_named_person_is_looked_at_by_their_id(tmp_path: Path) -> None:
    found = await steps(tmp_path, *repository._people("sqlite", named=True))
    assert [step.partition(" (")[0] for step in found[:3]] == [
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1",
        "SEARCH reach_profiles USING INDEX sqlite_autoindex_reach_profiles_1",
        "SEARCH reach_contacts USING INDEX reach_contacts_of",
    ]


async def test_rivals_are_looked_for_in_what_was_planned_together(tmp_path: Path) -> None:
    (campaign,) = await steps(tmp_path, *rivals._of_campaign("sqlite"))
    assert "deliveries_once_per_profile (cause_kind=? AND cause_id=? AND profile_id=?)" in campaign
    (campaign,) = await steps(tmp_path, *planning._planned("sqlite"))
    assert "deliveries_once_per_profile (cause_kind=? AND cause_id=? AND profile_id=?)" in campaign
    (asked,) = await steps(tmp_path, *rivals._without_campaign("sqlite"))
    assert "deliveries_waiting_without_campaign (profile_id=?)" in asked


async def test_campaigns_that_wait_are_found_one_look_each(tmp_path: Path) -> None:
    found = await steps(tmp_path, None, rivals._open_runs("sqlite"))
    ledger = [step for step in found if " deliveries" in step]
    assert len(ledger) == 3
    assert all("INDEX deliveries_open" in step for step in ledger), ledger

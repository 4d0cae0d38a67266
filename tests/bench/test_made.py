"""The data maker's installation is one: the services go on with it as with what they wrote themselves."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session

from bench.made.counts import grow_counts
from bench.made.leads import new_leads
from bench.made.ledger import Past, grow_ledger
from bench.made.profiles import Crowd, grow_profiles
from bench.made.reach import grow_reach
from bench.made.sheets import COLUMNS, dirty_rows
from services.metrics.funnel.counting import Counting
from services.metrics.funnel.service import rebuild_totals
from services.metrics.funnel.stages import Days
from services.profile.base import Row
from services.profile.people.repository import Filter, page_of_ids, whole
from services.push.campaigns.states import CampaignState
from services.push.reach import repository as reach
from services.shared.contact import ContactKeys
from services.shared.events import decode
from services.shared.events.envelope import Record
from services.shared.events.leads import LeadSubmitted
from tests.ground import sqlite_database

PEOPLE = 60
PAST = Past(campaigns=3, mails=15)
SERVICES = ("profile", "push", "metrics")

Table = list[tuple[Any, ...]]


def make(folder: Path, crowd: Crowd) -> None:
    """The three databases of an installation with a past."""
    folder.mkdir(exist_ok=True)
    profile, push, metrics = (folder / f"{service}.sqlite" for service in SERVICES)
    for service in SERVICES:
        database = sqlite_database(folder / f"{service}.sqlite", service)
        asyncio.run(database.close())
    grow_profiles(profile, crowd)
    grow_reach(push, profile)
    grow_ledger(push, profile, PAST)
    grow_counts(metrics, profile, push)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make(folder, Crowd(PEOPLE, groups=2))
    return folder


def table(folder: Path, service: str, query: str) -> Table:
    with closing(sqlite3.connect(folder / f"{service}.sqlite")) as connection:
        return connection.execute(query).fetchall()


async def test_profile_reads_the_people_that_were_made(made: Path) -> None:
    database = sqlite_database(made / "profile.sqlite", "profile")

    def work(session: Session) -> list[Row | None]:
        ids = page_of_ids(session, Filter(tag="bench"), None, 100)
        return [whole(session, one) for one in ids]

    people = await database.read(work)
    await database.close()
    assert len(people) == PEOPLE
    first = people[-1]
    assert first is not None
    assert first["contacts"][0]["address"] == "person0@people.example"
    assert {row["name"]: row["value"] for row in first["fields"]}["name"] == "Person 0"


async def test_push_knows_everybody_and_whom_it_may_write_to(made: Path) -> None:
    everybody = {UUID(id_) for (id_,) in table(made, "profile", "SELECT id FROM profiles")}
    database = sqlite_database(made / "push.sqlite", "push")
    found = await database.read(lambda session: reach.reachable(session, list(everybody), "email"))
    await database.close()
    assert set(found) == everybody
    assert {one.language for one in found.values()} == {"en"}
    grouped = table(made, "profile", "SELECT profile_id FROM tags WHERE tag LIKE 'group-%'")
    willing = "SELECT profile_id FROM reach_contacts WHERE marketing AND verified_at IS NOT NULL"
    assert sorted(table(made, "push", willing)) == sorted(grouped)
    assert 0 < len(grouped) < PEOPLE


async def test_the_totals_are_those_that_metrics_works_out(made: Path) -> None:
    cells = "SELECT * FROM totals WHERE number OR subjects OR amount ORDER BY 1, 2, 3, 4, 5, 6"
    firsts = "SELECT * FROM firsts ORDER BY 1, 2"
    before = table(made, "metrics", cells), table(made, "metrics", firsts)
    database = sqlite_database(made / "metrics.sqlite", "metrics")
    await rebuild_totals(database, Counting(Days(ZoneInfo("Asia/Shanghai"))))
    await database.close()
    assert before == (table(made, "metrics", cells), table(made, "metrics", firsts))
    assert {row[1] for row in before[0]} >= {"submitted", "sent", "displayed", "clicked"}


def test_every_campaign_wrote_to_people_once_and_has_ended(made: Path) -> None:
    rows = table(
        made,
        "push",
        "SELECT c.state, count(*), count(DISTINCT d.profile_id) FROM campaigns c"
        " JOIN deliveries d ON d.campaign_id = c.id GROUP BY c.id",
    )
    assert len(rows) == PAST.campaigns
    assert all(state == CampaignState.DONE and mails == people > 0 for state, mails, people in rows)


def test_the_same_seed_makes_the_same_installation(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", Crowd(PEOPLE, groups=2))
    make(tmp_path / "other", Crowd(PEOPLE, seed=2, groups=2))
    for service, query in (
        ("profile", "SELECT * FROM contacts"),
        ("push", "SELECT * FROM deliveries ORDER BY id"),
        ("metrics", "SELECT * FROM raw_events ORDER BY id"),
    ):
        assert table(made, service, query) == table(tmp_path / "again", service, query)
        assert table(made, service, query) != table(tmp_path / "other", service, query)


def test_every_index_is_there_again(made: Path, tmp_path: Path) -> None:
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
    for service in SERVICES:
        database = sqlite_database(tmp_path / f"{service}.sqlite", service)
        asyncio.run(database.close())
        assert table(made, service, query) == table(tmp_path, service, query)


def test_new_leads_are_events_and_the_same_for_the_same_seed() -> None:
    keys = ContactKeys(b"the keys of the test")
    made = list(new_leads(keys, 3, salt="a"))
    assert made == list(new_leads(keys, 3, salt="a"))
    events = [decode(Record(one.topic, 0, 1, one.key, one.headers, one.value)) for one in made]
    assert all(found and isinstance(found.event, LeadSubmitted) for found in events)
    other = {one.key for one in new_leads(keys, 3, salt="b")}
    assert other.isdisjoint(one.key for one in made)


def test_a_sheet_is_as_dirty_as_it_says_and_the_same_for_the_same_seed() -> None:
    rows = list(dirty_rows(2000))
    assert rows == list(dirty_rows(2000))
    assert rows != list(dirty_rows(2000, seed=2))
    assert all(tuple(row) == COLUMNS for row in rows)
    people = {row["email"].strip().lower() for row in rows if "@dealers" in row["email"].lower()}
    assert 1500 < len(people) < 1900
    wrong = [row for row in rows if "@dealers" not in row["email"].lower()]
    assert 50 < len(wrong) < 150

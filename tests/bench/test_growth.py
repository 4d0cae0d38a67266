"""The data maker's people are people: profile goes on with them as with those that came by leads."""

from pathlib import Path

from sqlmodel import Session

from bench.growth import grow_profiles, new_leads
from services.profile.app import KIND
from services.profile.base import Row
from services.profile.people.repository import Filter, page_of_ids, whole
from services.shared.contact import ContactKeys
from services.shared.events import decode
from services.shared.events.envelope import Record
from services.shared.events.leads import LeadSubmitted
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import open_embedded
from services.shared.settings import Settings, load_settings

PEOPLE = 40


async def test_profile_reads_the_people_that_were_made(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.open()
    system = open_embedded([KIND], load_settings(Settings), directory)
    database = system.grounds["profile"].database
    grow_profiles(directory.file("profile"), PEOPLE)

    def work(session: Session) -> list[Row | None]:
        ids = page_of_ids(session, Filter(tag="bench"), None, 100)
        return [whole(session, one) for one in ids]

    people = await database.read(work)
    assert len(people) == PEOPLE
    first = people[-1]
    assert first is not None
    assert first["contacts"][0]["address"] == "person0@people.example"
    assert {row["name"]: row["value"] for row in first["fields"]}["name"] == "Person 0"
    await database.close()
    directory.close()


def test_new_leads_are_events_and_the_same_for_the_same_seed() -> None:
    keys = ContactKeys(b"the keys of the test")
    made = list(new_leads(keys, 3, salt="a"))
    assert made == list(new_leads(keys, 3, salt="a"))
    events = [decode(Record(one.topic, 0, 1, one.key, one.headers, one.value)) for one in made]
    assert all(found and isinstance(found.event, LeadSubmitted) for found in events)
    other = {one.key for one in new_leads(keys, 3, salt="b")}
    assert other.isdisjoint(one.key for one in made)

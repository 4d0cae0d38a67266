"""Start and stop, as a user meets them: real processes, their words and their exit statuses."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.components.processes import free_port, listening
from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.systems import KEY, Embedded, command


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """A system that was never started."""
    system = Embedded(tmp_path)
    yield system
    system.kill()


def refusal(system: Embedded, **settings: str) -> str:
    """The one line with which a start is refused."""
    done = command("run", env={**system.settings, **settings})
    assert done.returncode not in (0, None)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert len(lines) == 1, f"one clear line was promised, not:\n{done.stdout}{done.stderr}"
    assert lines[0].startswith("baitwell: ")
    return lines[0]


def submit(system: Embedded, email: str) -> str:
    """Leave a contact; the lead's id. It is durable when this returns."""
    answer = httpx.post(
        f"{system.url}/v1/baits/welcome/leads",
        json={"contact": {"email": email}},
        trust_env=False,
        timeout=PATIENCE,
    )
    assert answer.status_code == 202, answer.text
    lead_id: str = answer.json()["lead_id"]
    return lead_id


def kept_leads(system: Embedded) -> set[str]:
    """The ids of the leads in the data directory of a stopped system."""
    with contextlib.closing(sqlite3.connect(system.data / "capture.sqlite")) as database:
        return {str(row[0]).replace("-", "") for row in database.execute("SELECT id FROM leads")}


def test_a_port_that_is_taken(embedded: Embedded) -> None:
    with socket.create_server(("127.0.0.1", embedded.port)):
        said = refusal(embedded)
    assert f"port {embedded.port} is taken" in said
    assert "BAITWELL_PORT" in said


def test_a_data_directory_in_use_by_another_process(embedded: Embedded) -> None:
    embedded.start()
    said = refusal(embedded, BAITWELL_PORT=str(free_port()))
    assert "in use by another process" in said
    assert "BAITWELL_DATA" in said
    assert embedded.stop()


def test_a_data_directory_that_cannot_be_made(embedded: Embedded, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    said = refusal(embedded, BAITWELL_DATA=str(tmp_path / "file" / "data"))
    assert "can't be written" in said
    assert "BAITWELL_DATA" in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"BAITWELL_PORT": "eighty"}, "BAITWELL_PORT is wrong"),
        ({"BAITWELL_TIMEZONE": "Mars/Olympus"}, "BAITWELL_TIMEZONE is wrong"),
        ({"BAITWELL_PUBLIC_URL": "shop.example"}, "BAITWELL_PUBLIC_URL is wrong"),
        ({"BAITWELL_QUIET_START": "late"}, "BAITWELL_QUIET_START is wrong"),
        ({"BAITWELL_SMTP_URL": "http://mail.example"}, "BAITWELL_SMTP_URL is wrong"),
        ({"BAITWELL_SECRET_KEYS": "1:changeme-changeme"}, "BAITWELL_SECRET_KEYS is a placeholder"),
        ({"BAITWELL_CONTACT_KEY": "short"}, "BAITWELL_CONTACT_KEY is too short"),
        ({"BAITWELL_KAFKA_SERVERS": "localhost:9"}, "BAITWELL_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_is_named(embedded: Embedded, settings: dict[str, str], words: str) -> None:
    assert words in refusal(embedded, **settings)


def test_a_misspelt_setting_is_pointed_out(embedded: Embedded) -> None:
    embedded.settings["BAITWELL_QUITE_START"] = "20:00"
    embedded.start()
    assert "BAITWELL_QUITE_START" in embedded.logs()


@pytest.mark.parametrize("service", ["capture", "profile", "push", "metrics"])
def test_a_database_from_a_newer_version(embedded: Embedded, service: str) -> None:
    embedded.start()
    embedded.stop()
    with contextlib.closing(sqlite3.connect(embedded.data / f"{service}.sqlite")) as database:
        database.execute("UPDATE alembic_version SET version_num = '29991231_01_future'")
        database.commit()
    said = refusal(embedded)
    assert f"the database of {service} is from a newer version" in said


def test_the_first_start_shows_a_key_and_the_second_keeps_everything(embedded: Embedded) -> None:
    embedded.start()
    assert len(set(KEY.findall(embedded.logs()))) == 1
    first = submit(embedded, "first@people.example")
    bait = httpx.get(
        f"{embedded.url}/v1/baits/welcome",
        headers=embedded.admin,
        trust_env=False,
        timeout=PATIENCE,
    )
    assert bait.status_code == 200
    shown = embedded.logs().count(embedded.admin_key)
    embedded.restart()
    assert embedded.logs().count(embedded.admin_key) == shown == 1
    again = httpx.get(
        f"{embedded.url}/v1/baits/welcome",
        headers=embedded.admin,
        trust_env=False,
        timeout=PATIENCE,
    )
    assert again.json()["id"] == bait.json()["id"]
    second = submit(embedded, "second@people.example")
    embedded.stop()
    assert {first.replace("-", ""), second.replace("-", "")} <= kept_leads(embedded)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_and_loses_nothing(embedded: Embedded, how: signal.Signals) -> None:
    embedded.start()
    accepted = {submit(embedded, f"p{number}@people.example") for number in range(20)}
    assert embedded.process is not None
    os.kill(embedded.process.pid, how)
    process = embedded.process
    wait_until(lambda: not process.running, "it has ended")
    status = process.stop()
    if how == signal.SIGINT:  # Ctrl-C is how one stops it: no error, and a word
        assert status == 0
        assert f"Everything is kept in {embedded.folder}" in embedded.logs()
    assert not listening(embedded.port)
    assert {lead.replace("-", "") for lead in accepted} <= kept_leads(embedded)


def test_a_crash_loses_nothing_that_was_accepted(embedded: Embedded) -> None:
    embedded.start()
    accepted = {submit(embedded, f"p{number}@people.example") for number in range(20)}
    embedded.kill()
    embedded.start()
    embedded.stop()
    assert {lead.replace("-", "") for lead in accepted} <= kept_leads(embedded)


def test_log_lines_are_json_with_nothing_personal(embedded: Embedded) -> None:
    embedded.start()
    submit(embedded, "nobody.knows.me@people.example")
    embedded.stop()
    lines = [line for line in embedded.logs().splitlines() if line.startswith("{")]
    assert lines
    for line in lines:
        assert {"time", "level", "message"} <= json.loads(line).keys()
    assert "nobody.knows.me" not in embedded.logs()

"""Backup and restore, as docs/operations.md says: taken while people submit, put back on an empty disk."""

import re
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.shared.process.backup import back_up
from tests.components.kafka import Broker
from tests.components.postgres import PostgresServer, binaries
from tests.components.waiting import PATIENCE, wait_until
from tests.e2e.systems import Embedded, RunningSystem, Scaled, command


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    system = Embedded(tmp_path)
    system.start()
    yield system
    system.kill()


class Visitors:
    """Leave contacts one after another until stopped; `accepted` are the addresses that got a 202."""

    def __init__(self, url: str, name: str = "p") -> None:
        self.accepted: list[str] = []
        self._name = name
        self._url = url
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._submit)

    def __enter__(self) -> "Visitors":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def _submit(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=PATIENCE) as client:
            while not self._enough.is_set():
                address = f"{self._name}{len(self.accepted)}@people.example"
                body = {"contact": {"email": address}}
                answer = client.post("/v1/baits/welcome/leads", json=body)
                assert answer.status_code == 202, answer.text
                self.accepted.append(address)


def mails(system: RunningSystem) -> Counter[str]:
    """How many mails each address has in the mailbox."""
    found: Counter[str] = Counter()
    cursor: str | None = None
    with httpx.Client(
        base_url=system.url, headers=system.admin, trust_env=False, timeout=PATIENCE
    ) as client:
        while True:
            params = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = client.get("/mailbox/messages", params=params).raise_for_status().json()
            found.update(item["recipient"] for item in page["items"])
            cursor = page["next"]
            if cursor is None:
                return found


def unknown(system: RunningSystem) -> int:
    """How many messages were on the wire in a copy: nobody can know of them whether they were sent (promise 3)."""
    place = system.targets["push"]
    text = httpx.get(f"http://{place}/metrics", trust_env=False, timeout=PATIENCE).text
    found = re.search(
        r'^baitwell_deliveries\{channel="email",state="unknown"\} (\S+)$', text, re.MULTILINE
    )
    return int(float(found[1])) if found else 0


def everybody_once(system: RunningSystem, addresses: list[str], seconds: float = PATIENCE) -> None:
    """Wait until each of these has a mail or their message counts as unknown; nobody has two."""
    wanted = set(addresses)

    def arrived() -> bool:
        return len(wanted & mails(system).keys()) + unknown(system) >= len(wanted)

    wait_until(arrived, "every mail", seconds)
    assert max(mails(system).values()) == 1


def people(system: RunningSystem) -> int:
    """How many leads have become people, as the funnel has them, too."""
    answer = httpx.get(
        f"{system.url}/v1/funnel?by=bait", headers=system.admin, trust_env=False, timeout=PATIENCE
    )
    (item,) = answer.raise_for_status().json()["items"]
    submitted: int = item["bait"]["stages"]["submitted"]["distinct"]
    return submitted


def known(system: RunningSystem, address: str) -> Any:
    contact = {"channel": "email", "address": address}
    return httpx.post(
        f"{system.url}/v1/profiles/lookup",
        json=contact,
        headers=system.admin,
        trust_env=False,
        timeout=PATIENCE,
    ).status_code


def leads_in(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "capture.sqlite")) as database:
        return int(database.execute("SELECT count(*) FROM leads").fetchone()[0])


def test_a_backup_taken_while_people_submit_restores_to_the_whole_circle(
    embedded: Embedded, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with Visitors(embedded.url) as visitors:
        wait_until(lambda: len(visitors.accepted) >= 50, "fifty leads")
        before = list(visitors.accepted)
        done = command("backup", str(folder), env=embedded.settings)
        assert done.returncode == 0, done.stderr
        copied = len(visitors.accepted)
        wait_until(lambda: len(visitors.accepted) >= copied + 20, "twenty more leads")
    embedded.stop()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "secrets.json").exists()

    shutil.rmtree(embedded.data)
    shutil.copytree(folder, embedded.data)
    embedded.start()
    kept = leads_in(folder)
    assert len(before) <= kept < len(visitors.accepted)
    restored = visitors.accepted[:kept]
    # whatever was on its way when the copy was made arrives, and arrives once
    everybody_once(embedded, restored)
    wait_until(lambda: people(embedded) >= kept, "every lead counted")
    # the log is copied last: it may know more leads than the copied leads are
    assert mails(embedded).keys() <= set(visitors.accepted)
    assert {known(embedded, address) for address in (restored[0], restored[-1])} == {200}
    # and it goes on
    with Visitors(embedded.url, "later") as more:
        wait_until(lambda: len(more.accepted) >= 5, "new leads")
    wait_until(lambda: set(more.accepted) <= mails(embedded).keys(), "their mails")
    wait_until(lambda: known(embedded, more.accepted[-1]) == 200, "the last of them")


@pytest.mark.needs_postgres
@pytest.mark.needs_kafka
@pytest.mark.timeout(300)
def test_a_dump_of_the_whole_database_goes_on_with_the_log_that_is_there(
    tmp_path: Path, postgres_server: PostgresServer, kafka: Broker, kafka_prefix: str
) -> None:
    """Scaled: what was accepted after the dump is still in Kafka, and comes to people from there."""
    programs = binaries()
    assert programs is not None
    names = [postgres_server.create_database() for _ in range(2)]
    first, second = (postgres_server.url(name) for name in names)
    dump = tmp_path / "baitwell.dump"
    local = {"BAITWELL_MAIL": "local"}
    system = Scaled(tmp_path / "system", first, kafka.bootstrap, kafka_prefix, local)
    try:
        system.start()
        with Visitors(system.url) as visitors:
            wait_until(lambda: len(visitors.accepted) >= 50, "fifty leads")
            before = list(visitors.accepted)
            subprocess.run([programs / "pg_dump", "-Fc", "-f", dump, first], check=True)
            copied = len(visitors.accepted)
            wait_until(lambda: len(visitors.accepted) >= copied + 20, "twenty more leads")
        wait_until(lambda: len(mails(system)) == len(visitors.accepted), "every mail", 2 * PATIENCE)
        system.stop()
        subprocess.run([programs / "pg_restore", "--no-owner", "-d", second, dump], check=True)
        system.settings["BAITWELL_DATABASE_URL"] = second
        system.start()
        everybody_once(system, visitors.accepted, 2 * PATIENCE)
        wait_until(
            lambda: people(system) >= len(visitors.accepted), "every lead counted", 2 * PATIENCE
        )
        assert mails(system).keys() <= set(visitors.accepted)
        assert people(system) == len(visitors.accepted)
        ends = (before[0], before[-1], visitors.accepted[-1])
        assert {known(system, address) for address in ends} == {200}
        system.stop()
        # the log is lost as well: another one, read from its beginning
        system.settings["BAITWELL_KAFKA_PREFIX"] = kafka.new_prefix()
        reset = command("positions", "reset", env=system.settings)
        assert reset.returncode == 0, reset.stderr
        system.start()
        with Visitors(system.url, "later") as more:
            wait_until(lambda: len(more.accepted) >= 5, "new leads")
        everybody = visitors.accepted + more.accepted
        wait_until(lambda: people(system) >= len(everybody), "new leads counted", 2 * PATIENCE)
        wait_until(lambda: set(more.accepted) <= mails(system).keys(), "their mails", 2 * PATIENCE)
        everybody_once(system, everybody, 2 * PATIENCE)
        assert known(system, more.accepted[-1]) == 200
    finally:
        system.kill()


def test_a_folder_that_is_there_is_not_written_over(embedded: Embedded, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    done = command("backup", str(tmp_path / "old"), env=embedded.settings)
    assert done.returncode == 1
    assert "exists" in done.stderr


def test_what_is_no_data_directory_is_not_backed_up(tmp_path: Path) -> None:
    settings = {"BAITWELL_DATA": str(tmp_path / "nothing")}
    done = command("backup", str(tmp_path / "copy"), env=settings)
    assert done.returncode == 1
    assert "BAITWELL_DATA" in done.stderr
    assert not (tmp_path / "copy").exists()


def test_no_copied_position_is_beyond_the_copied_log(tmp_path: Path) -> None:
    """A record that a copied consumer had passed and the copied log lacked would be skipped for good."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("capture", "log", "push"):
        with closing(sqlite3.connect(data / f"{name}.sqlite")) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE at (n)")
            database.execute("INSERT INTO at VALUES (0)")
            database.execute("CREATE TABLE ballast (b)")
            database.execute("INSERT INTO ballast VALUES (zeroblob(20000000))")
            database.commit()
    enough = threading.Event()

    def publish_and_handle() -> None:
        with (
            closing(sqlite3.connect(data / "log.sqlite")) as log,
            closing(sqlite3.connect(data / "push.sqlite")) as push,
        ):
            while not enough.is_set():
                for database in (log, push):
                    database.execute("UPDATE at SET n = n + 1")
                    database.commit()

    working = threading.Thread(target=publish_and_handle)
    working.start()
    try:
        back_up(data, tmp_path / "copy")
    finally:
        enough.set()
        working.join()
    ends = {}
    for name in ("log", "push"):
        with closing(sqlite3.connect(tmp_path / "copy" / f"{name}.sqlite")) as database:
            (ends[name],) = database.execute("SELECT n FROM at").fetchone()
    assert 0 < ends["push"] <= ends["log"]

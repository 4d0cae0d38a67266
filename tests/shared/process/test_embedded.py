"""The one process: what stops its start says so in one line, and what it made it keeps."""

import asyncio
import json
import socket
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from services.shared.bus import Partition
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import VirtualClock
from services.shared.database import migrations
from services.shared.errors import SetupError
from services.shared.events import Message
from services.shared.process.directory import DataDirectory
from services.shared.process.embedded import (
    Embedded,
    EmbeddedParts,
    Housekeeping,
    open_embedded,
)
from services.shared.process.serve import listen
from services.shared.settings import Settings, load_settings
from tests.ground import SERVICES, embedded_system, kind_of, sqlite_database


def one_line(told: pytest.ExceptionInfo[SetupError]) -> str:
    text = str(told.value)
    assert "\n" not in text
    return text


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path / "data"), DataDirectory(tmp_path / "data")
    first.open()
    with pytest.raises(SetupError) as told:
        second.open()
    assert "in use by another process" in one_line(told)
    first.close()
    second.open()
    second.close()


def test_a_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "data"):
        with pytest.raises(SetupError) as told:
            DataDirectory(path).open()
        assert "set BAITWELL_DATA" in one_line(told)


def test_secrets_are_made_once_kept_and_for_nobody_else(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.open()
    first, again = directory.secrets(), directory.secrets()
    assert first.new
    assert not again.new
    assert (first.secret_keys, first.contact_key, first.internal_key) == (
        again.secret_keys,
        again.contact_key,
        again.internal_key,
    )
    path = tmp_path / "data" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert min(map(len, json.loads(path.read_text()).values())) >= 32
    other = DataDirectory(tmp_path / "other")
    other.open()
    assert other.secrets().contact_key != first.contact_key
    directory.close()
    other.close()


def test_a_port_that_is_taken_says_which_and_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError) as told:
            listen("127.0.0.1", port)
    assert f"port {port} is taken" in one_line(told)
    assert "BAITWELL_PORT" in str(told.value)


def test_an_address_that_is_not_ours_is_refused_with_one_line() -> None:
    with pytest.raises(SetupError) as told:
        listen("192.0.2.1", 0)
    assert "192.0.2.1" in one_line(told)


async def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    database = sqlite_database(tmp_path / "push.sqlite", "push")
    with database.writer.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '29990101_01_later'")
    with database.writer.begin() as connection, pytest.raises(SetupError) as told:
        migrations.check(connection, kind_of("push").migrations)
    assert "from a newer version (29990101_01_later)" in one_line(told)
    await database.close()


def opened(path: Path, seconds: float, **parts: object) -> Embedded:
    directory = DataDirectory(path)
    directory.open()
    kinds = tuple(kind_of(service) for service in SERVICES)
    settings = load_settings(Settings, data=path)
    made = EmbeddedParts(sync_seconds=lambda folder: seconds, **parts)  # type: ignore[arg-type]
    return open_embedded(kinds, settings, directory, made)


@pytest.mark.parametrize(
    ("seconds", "parts", "threads"),
    [(0.0001, {}, False), (0.02, {}, True), (0.02, {"clock": VirtualClock()}, False)],
)
async def test_a_slow_disk_gets_a_writer_thread_but_never_a_virtual_clock(
    tmp_path: Path, seconds: float, parts: dict[str, object], threads: bool
) -> None:
    embedded = opened(tmp_path / "data", seconds, **parts)
    for ground in embedded.grounds.values():
        assert (ground.database._writing is not None) == threads  # type: ignore[attr-defined]
    assert await embedded.first_key()
    assert await embedded.first_key() is None
    own = embedded.front._own
    async with own.router.lifespan_context(own):  # type: ignore[attr-defined]
        pass


async def test_a_second_start_keeps_everything(tmp_path: Path) -> None:
    async with embedded_system(tmp_path) as system:
        key, headers = system.admin_key, system.admin
    async with embedded_system(tmp_path) as system:
        assert system.admin_key != key, "the key is shown the first time only"
        answer = await system.client.get("/v1/baits", headers=headers)
        assert answer.status_code == 200


async def test_health_says_which_part_is_not_ready(tmp_path: Path) -> None:
    async with embedded_system(tmp_path) as system:
        assert (await system.client.get("/health/live")).json() == {"status": "ok"}
        await system.settle()
        ready = await system.client.get("/health/ready")
        assert ready.status_code == 200, ready.text
        await system.grounds["profile"].database.close()
        broken = await system.client.get("/health/ready")
        assert broken.status_code == 503
        assert broken.json()["parts"]["profile"] == {"database": "the database does not answer"}
        assert (await system.client.get("/metrics")).status_code == 200


async def test_a_process_can_hold_two_systems(tmp_path: Path) -> None:
    async with embedded_system(tmp_path / "a") as one, embedded_system(tmp_path / "b") as two:
        for system in (one, two):
            assert (await system.client.get("/health/live")).status_code == 200
        assert (await two.client.get("/v1/baits", headers=one.admin)).status_code == 401


async def test_the_log_is_not_thinned_by_a_clock_that_has_just_jumped(tmp_path: Path) -> None:
    clock = VirtualClock()
    bus = SqliteBus(tmp_path / "log.sqlite", clock)
    await bus.start(("leads",))
    await bus.publish([Message("leads", "key", (), b"{}")])
    stop = asyncio.Event()
    keeping = asyncio.ensure_future(Housekeeping(bus, clock).run(stop))

    async def left_after(seconds: float) -> int:
        for _ in range(round(seconds / 300)):
            clock.advance(301)
            for _ in range(20):
                await asyncio.sleep(0)
        return (await bus.beginnings(("leads",)))[Partition("leads", 0)]

    try:
        before = await left_after(600)
        clock.jump(timedelta(days=30))
        assert await left_after(1800) == before
        # who set it right an hour ago meant it
        assert await left_after(5400) == before + 1
    finally:
        stop.set()
        clock.advance(301)
        await keeping
        await bus.close()


async def test_a_mistyped_address_is_a_page_for_a_person_and_a_document_for_a_program(
    tmp_path: Path,
) -> None:
    async with embedded_system(tmp_path) as system:
        browser = {"accept": "text/html", "accept-language": "en"}
        page = await system.client.get("/bait/welcome", headers=browser)
        document = await system.client.get("/bait/welcome")
    assert (page.status_code, document.status_code) == (404, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Not found" in page.text
    assert document.headers["content-type"] == "application/problem+json"

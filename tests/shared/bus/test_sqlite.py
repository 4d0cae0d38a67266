"""What the embedded log promises beyond the contract: no threads, no loss, bounded size."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.shared.bus import BusUnavailable, Partition
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import VirtualClock
from services.shared.errors import SetupError
from services.shared.events import Record, tombstone
from tests.components.waiting import eventually
from tests.contract.bus.readers import numbered, values
from tests.contract.bus.stands import bytes_on_disk, integrity

LEADS = Partition("leads", 0)
PROFILES = Partition("profiles", 0)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def bus(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[SqliteBus]:
    made = SqliteBus(tmp_path / "log.db", clock)
    await made.start(["leads", "views", "profiles"])
    yield made
    await made.close()


async def _from_start(_: Sequence[Partition]) -> dict[Partition, int]:
    return {}


async def everything(bus: SqliteBus, topic: str) -> list[Record]:
    """All records of a topic, by a reader that nobody knows yet."""
    member = await bus.subscribe("everything", "a", [topic], _from_start)
    records: list[Record] = []
    while batches := await member.fetch(10_000, 0.0):
        records += [record for batch in batches for record in batch.records]
    await member.close()
    return records


class NoThreads(ThreadPoolExecutor):
    """An executor that nobody may use."""

    def submit(self, *_: object, **__: object) -> "Future[Any]":
        raise AssertionError("a thread was asked for")


class TestThreadFree:
    async def test_it_works_in_the_loop_alone_and_by_the_virtual_clock(
        self, tmp_path: Path, clock: VirtualClock
    ) -> None:
        asyncio.get_running_loop().set_default_executor(NoThreads())
        threads = threading.active_count()
        bus = SqliteBus(tmp_path / "log.db", clock)
        await bus.start(["leads", "profiles"])
        member = await bus.subscribe("g", "a", ["leads"], _from_start)
        waiting = asyncio.ensure_future(member.fetch(10, 3600.0))
        await asyncio.sleep(0)
        await bus.publish(numbered("leads", "k", 3))
        (batch,) = await waiting
        assert values(batch.records, "k") == [0, 1, 2]
        await bus.scrub("leads", ["k"])
        await bus.tidy()
        assert threading.active_count() == threads
        await bus.close()

    async def test_a_wait_lasts_as_long_as_the_clock_says(
        self, bus: SqliteBus, clock: VirtualClock
    ) -> None:
        member = await bus.subscribe("g", "a", ["leads"], _from_start)
        waiting = asyncio.ensure_future(member.fetch(10, 60.0))
        await eventually(lambda: clock.next_alarm() is not None, "the reader waits")
        assert clock.next_alarm() == pytest.approx(60.0)
        clock.advance(60.0)
        assert await waiting == []

    async def test_a_reader_that_always_finds_records_lets_others_run(self, bus: SqliteBus) -> None:
        await bus.publish(numbered("leads", "k", 100))
        member = await bus.subscribe("g", "a", ["leads"], _from_start)
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        running = asyncio.ensure_future(other())
        for _ in range(50):
            await member.fetch(1, 0.0)
        running.cancel()
        assert turns >= 50


class TestDurability:
    async def test_publishers_of_one_turn_share_a_commit(
        self, bus: SqliteBus, tmp_path: Path
    ) -> None:
        wal = tmp_path / "log.db-wal"
        await bus.publish(numbered("leads", "k", 1))
        begun = _size(wal)
        await asyncio.gather(*(bus.publish(numbered("leads", "k", 1)) for _ in range(8)))
        together = _size(wal) - begun
        for _ in range(8):
            await bus.publish(numbered("leads", "k", 1))
        assert _size(wal) - begun - together >= 8 * together > 0
        assert len(await everything(bus, "leads")) == 17

    async def test_what_was_acknowledged_is_there_after_kill_9(
        self, tmp_path: Path, clock: VirtualClock
    ) -> None:
        path = tmp_path / "log.db"
        script = f"""
import asyncio, sys
from pathlib import Path
from services.shared.bus.sqlite import SqliteBus
from services.shared.clock import SystemClock
from tests.components.waiting import eventually
from tests.contract.bus.readers import numbered
async def main():
    bus = SqliteBus(Path({str(path)!r}), SystemClock())
    await bus.start(["leads"])
    for number in range(1_000_000):
        await bus.publish(numbered("leads", "k", 1, number))
        print(number, flush=True)
asyncio.run(main())
"""
        acknowledged = await asyncio.to_thread(_kill_after, script, 200)
        bus = SqliteBus(path, clock)
        await bus.start(["leads"])
        heard = values(await everything(bus, "leads"), "k")
        await bus.close()
        assert heard == list(range(len(heard)))
        assert len(heard) > acknowledged
        assert integrity(path) == "ok"

    async def test_what_was_not_committed_at_a_crash_fails(self, bus: SqliteBus) -> None:
        saying = asyncio.ensure_future(bus.publish(numbered("leads", "k", 1)))
        await asyncio.sleep(0)
        bus.abandon()
        with pytest.raises(BusUnavailable):
            await saying

    async def test_an_unreadable_message_fails_its_publisher_alone(self, bus: SqliteBus) -> None:
        broken = asyncio.ensure_future(bus.publish(numbered("leads", "\ud800", 1)))
        sound = asyncio.ensure_future(bus.publish(numbered("leads", "k", 1)))
        await sound
        with pytest.raises(UnicodeEncodeError):
            await broken

    async def test_a_file_of_another_format_is_refused(
        self, tmp_path: Path, clock: VirtualClock
    ) -> None:
        with closing(sqlite3.connect(tmp_path / "other.db")) as other:
            other.execute("PRAGMA user_version = 99")
        bus = SqliteBus(tmp_path / "other.db", clock)
        with pytest.raises(SetupError, match="format 99"):
            await bus.start(["leads"])

    async def test_a_path_that_can_not_be_is_unavailable(
        self, tmp_path: Path, clock: VirtualClock
    ) -> None:
        bus = SqliteBus(tmp_path / "missing" / "log.db", clock)
        with pytest.raises(BusUnavailable):
            await bus.start(["leads"])

    async def test_a_full_disk_is_unavailable_and_passes(self, bus: SqliteBus) -> None:
        await bus.publish(numbered("leads", "k", 1))
        limit = _page_limit(bus, 1)
        with pytest.raises(BusUnavailable, match="full"):
            await bus.publish(numbered("leads", "k" * 200_000, 1, 1))
        _page_limit(bus, limit)
        await bus.publish(numbered("leads", "k", 1, 1))
        assert values(await everything(bus, "leads"), "k") == [0, 1]

    async def test_after_an_error_of_the_disk_the_file_is_opened_anew(
        self, bus: SqliteBus, tmp_path: Path
    ) -> None:
        await bus.publish(numbered("leads", "k", 2))
        path = tmp_path / "log.db"
        bus.file.truncate()
        sound = path.read_bytes()
        path.write_bytes(b"\xff" * len(sound))
        _forget_pages(bus)
        with pytest.raises(BusUnavailable):
            await bus.publish(numbered("leads", "k", 1, 2))
        path.write_bytes(sound)
        await bus.publish(numbered("leads", "k", 1, 2))
        assert values(await everything(bus, "leads"), "k") == [0, 1, 2]


def _size(path: Path) -> int:
    return path.stat().st_size


def _kill_after(script: str, number: int) -> int:
    """Run a script that prints numbers, kill it after this one; the last one it printed."""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        last = next(int(line) for line in process.stdout if int(line) >= number)
        process.kill()
        rest = process.stdout.read().split("\n")[:-1]
    return max([last, *map(int, rest)])


def _page_limit(bus: SqliteBus, pages: int) -> int:
    """Let the file grow to no more pages than this (or than it has); the former limit."""
    with bus.file._reading() as connection:
        former = int(connection.execute("PRAGMA max_page_count").fetchone()[0])
        connection.execute(f"PRAGMA max_page_count = {pages}")
    return former


def _forget_pages(bus: SqliteBus) -> None:
    with bus.file._reading() as connection:
        connection.execute("PRAGMA shrink_memory")


class TestTidy:
    async def test_records_past_their_retention_are_gone_also_from_the_disk(
        self, bus: SqliteBus, clock: VirtualClock, tmp_path: Path
    ) -> None:
        await bus.publish(numbered("leads", "old-key-of-somebody", 1200))
        clock.advance(timedelta(days=6).total_seconds())
        await bus.publish(numbered("leads", "young", 3))
        await bus.tidy()
        assert len(await everything(bus, "leads")) == 1203
        clock.advance(timedelta(days=1, seconds=1).total_seconds())
        await bus.tidy()
        records = await everything(bus, "leads")
        assert [record.key for record in records] == ["young"] * 3
        assert (await bus.beginnings(["leads"]))[LEADS] == records[0].offset
        await bus.scrub("leads", [])
        assert b"old-key-of-somebody" not in bytes_on_disk(tmp_path / "log.db")

    async def test_offsets_are_not_used_again_after_everything_was_deleted(
        self, bus: SqliteBus, clock: VirtualClock, tmp_path: Path
    ) -> None:
        await bus.publish(numbered("leads", "k", 5))
        end = (await bus.ends(["leads"]))[LEADS]
        clock.advance(timedelta(days=8).total_seconds())
        await bus.tidy()
        await bus.close()
        again = SqliteBus(tmp_path / "log.db", clock)
        await again.start(["leads"])
        assert await again.beginnings(["leads"]) == await again.ends(["leads"]) == {LEADS: end}
        await again.publish(numbered("leads", "k", 1))
        (record,) = await everything(again, "leads")
        assert record.offset == end
        await again.close()

    async def test_compaction_keeps_the_newest_of_each_key_in_order(
        self, bus: SqliteBus, clock: VirtualClock
    ) -> None:
        for number in range(10):
            await bus.publish([m for k in "abc" for m in numbered("profiles", k, 1, number)])
        await bus.publish(numbered("profiles", "a", 1, 10))
        clock.advance(timedelta(days=1, seconds=1).total_seconds())
        await bus.tidy()
        found = [(r.key, int(r.value or b"")) for r in await everything(bus, "profiles")]
        assert found == [("b", 9), ("c", 9), ("a", 10)]

    async def test_compaction_does_not_wait_a_day_when_most_is_new(self, bus: SqliteBus) -> None:
        await bus.publish([m for n in range(600) for m in numbered("profiles", "a", 1, n)])
        await bus.tidy()
        assert values(await everything(bus, "profiles"), "a") == [599]

    async def test_compaction_in_several_rounds_never_loses_a_state(
        self, bus: SqliteBus, clock: VirtualClock
    ) -> None:
        for number in range(6):
            keys = [f"k{index}" for index in range(number, 40 + number)]
            await bus.publish([m for k in keys for m in numbered("profiles", k, 1, number)])
            clock.advance(timedelta(days=2).total_seconds())
            await bus.tidy()
        newest = {f"k{index}": min(index, 5) for index in range(45)}
        found = {r.key: int(r.value or b"") for r in await everything(bus, "profiles")}
        assert found == newest
        assert len(await everything(bus, "profiles")) == len(newest)

    async def test_a_tombstone_is_kept_for_thirty_days(
        self, bus: SqliteBus, clock: VirtualClock
    ) -> None:
        await bus.publish([*numbered("profiles", "gone", 3), tombstone("profiles", "gone")])
        for days, left in ((2, [None]), (25, [None]), (2, [])):
            clock.advance(timedelta(days=days).total_seconds())
            await bus.publish(numbered("profiles", "log.marker", 1))
            clock.advance(timedelta(days=1, seconds=1).total_seconds())
            await bus.tidy()
            records = await everything(bus, "profiles")
            assert [r.value for r in records if r.key == "gone"] == left

    async def test_a_reader_in_the_middle_goes_on_over_what_was_deleted(
        self, bus: SqliteBus, clock: VirtualClock
    ) -> None:
        await bus.publish([m for n in range(20) for m in numbered("profiles", "a", 1, n)])
        member = await bus.subscribe("g", "a", ["profiles"], _from_start)
        await member.fetch(5, 0.0)
        clock.advance(timedelta(days=2).total_seconds())
        await bus.tidy()
        (batch,) = await member.fetch(100, 0.0)
        assert (values(batch.records, "a"), member.gaps) == ([19], 0)


@pytest.mark.parametrize("module", ["services.shared.bus", "services.shared.bus.sqlite"])
def test_the_embedded_log_does_not_pay_for_kafka(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print('aiokafka' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "False"


async def test_scrubbing_in_steps_reaches_the_whole_topic(
    bus: SqliteBus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("services.shared.bus.sqlite._SCRUB_STEP", 7)
    for number in range(20):
        await bus.publish(numbered("leads", "x", 1, 7_700_000 + number) + numbered("leads", "y", 1))
    assert await bus.scrub("leads", ["x", "unknown"])
    records = await everything(bus, "leads")
    assert [r.value for r in records if r.key == "x"] == [b"{}"] * 20
    assert [r.value for r in records if r.key == "y"] == [b"0"] * 20
    assert b"77000" not in bytes_on_disk(tmp_path / "log.db")


async def test_scrubbing_does_not_claim_what_another_reader_of_the_file_prevents(
    bus: SqliteBus, tmp_path: Path
) -> None:
    await bus.publish(numbered("leads", "x", 3))
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM records_1").fetchone()
        with pytest.raises(BusUnavailable):
            await bus.scrub("leads", ["x"])
    assert await bus.scrub("leads", ["x"])

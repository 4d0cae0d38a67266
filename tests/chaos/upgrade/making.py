"""What a release leaves behind when it is killed in the middle of everything, kept as a few small files.

It runs beside that release's own tests, never beside today's program (see states/README.md):

    python -m tests.chaos.making embedded|scaled FOLDER
"""

import asyncio
import json
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.sinks.smtp import Options
from services.shared.events.catalogue import CATALOGUE, PARTITIONS
from tests.chaos.case import Mode, Trial
from tests.chaos.leaving import leave
from tests.chaos.pieces import SWITCHES
from tests.chaos.stage import BAIT, Stage, campaign, play, quiet
from tests.chaos.switches import CHOKING, POISONED, STOPPING
from tests.components.waiting import eventually

SEED = 16
PEOPLE, UNREAD, UNSENT, GREY = 100, 10, 10, 5
LANES = 2
ARRIVED = 1
"""At least so many messages have arrived of which the ledger does not know it: who sends them again is seen."""

_SECRETS = ("BAITWELL_SECRET_KEYS", "BAITWELL_CONTACT_KEY", "BAITWELL_INTERNAL_KEY")
_DELAY = 0.15
_SOON = 30.0

Kept = dict[str, Any]


async def make(mode: Mode, out: Path) -> None:
    """Write the state of one mode into `out`."""
    folder = Path(tempfile.mkdtemp(prefix="baitwell-state-"))
    kept: Kept = {}
    _ready(out)
    try:
        switches = folder / "switches"
        switches.mkdir()

        async def act(stage: Stage) -> None:
            reading = asyncio.create_task(stage.crowd.read_mail())
            try:
                await _live(stage, switches)
                await _break_off(stage, switches, reading)
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading
            kept.update(await _keep(stage, out, mode))

        verdict = await play(
            "state",
            Trial(folder, SEED, "test", mode),
            act,
            settings={SWITCHES: str(switches)},
            changes=(CHOKING, STOPPING),
            lanes=LANES,
            mail=Options(keep=True, misbehave=True),
        )
        if verdict.faults:
            raise SystemExit("\n".join(verdict.faults))
        kept["book"] = (folder / "acknowledged.jsonl").read_text()
        _write(out / f"{mode}.json.xz", json.dumps(kept).encode())
        print(json.dumps(kept["waiting"], indent=2))
    finally:
        shutil.rmtree(folder)


def _ready(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)


async def _live(stage: Stage, switches: Path) -> None:
    """An ordinary life up to a campaign, and one record that profile chokes on."""
    await stage.client.call("POST", "/v1/baits", BAIT)
    await stage.crowd.come(PEOPLE)
    await quiet(stage)
    await stage.crowd.leave_by_phone(40)  # every twenty-fifth
    await quiet(stage)
    stage.recipients = stage.crowd.recipients
    (switches / CHOKING).touch()
    await leave(stage, f"{POISONED}.{stage.seed}@people.example", language="zh-CN")
    await _until(lambda: stage.stores.waiting().get("parked at profile", 0) > 0, "a parked record")
    await campaign(stage)
    stage.sink.options.delay = _DELAY
    await stage.client.call("POST", f"/v1/campaigns/{stage.campaign_id}/start")
    await _until(lambda: stage.postbox.campaign_mails >= 0.2 * len(stage.recipients), "a campaign")


async def _break_off(stage: Stage, switches: Path, reading: "asyncio.Task[None]") -> None:
    """Consumers and relays fall silent one after another; then it is killed, the campaign in the middle."""
    for number in range(GREY):
        await leave(stage, f"grey-451@grey{number}.{stage.seed}.people.example")
    await _until(lambda: _in(stage, "held") >= GREY, "held deliveries")
    (switches / "stopped consumer metrics").touch()
    (switches / "stopped consumer profile").touch()
    await stage.crowd.come(UNREAD)
    await _until(lambda: _count(stage, "outbox of capture") == 0, "an empty outbox")
    for service in ("capture", "push"):
        (switches / f"stopped relay {_relay(stage, service)}").touch()
    await stage.crowd.come(UNSENT)
    reading.cancel()
    await stage.crowd.calm()
    middle = 0.4 * len(stage.recipients)
    await _until(
        lambda: stage.postbox.count() >= middle and _arrived_on_the_wire(stage) >= ARRIVED,
        "the middle",
    )
    stage.victim.kill()
    await asyncio.sleep(0.5)  # what it had written is read by the sink
    left = stage.stores.waiting()
    reached = stage.postbox.count()
    if _arrived_on_the_wire(stage) < ARRIVED:
        raise SystemExit("what was on the wire is not at the sink: once more")
    if not 0.3 < reached / len(stage.recipients) < 0.9:
        raise SystemExit(
            f"{reached} of {len(stage.recipients)} mails: not the middle of a campaign"
        )
    needed = ("outbox of capture", "outbox of push", "parked at profile", "lag of profile in leads")
    if missing := [name for name in needed if not left.get(name)]:
        raise SystemExit(f"the state has no {missing}: {left}")


async def _until(condition: Callable[[], bool], what: str) -> None:
    await eventually(condition, what, _SOON)


def _count(stage: Stage, name: str) -> int:
    return stage.stores.waiting().get(name, 0)


def _in(stage: Stage, state: str) -> int:
    query = f"SELECT count(*) FROM deliveries WHERE state = '{state}'"
    rows = stage.stores.rows("push", query)
    return int(rows[0][0])


def _arrived_on_the_wire(stage: Stage) -> int:
    """How many have arrived of those of which the ledger does not know it yet."""
    rows = stage.stores.rows("push", "SELECT id FROM deliveries WHERE state = 'sending'")
    waiting = {UUID(hex=str(row[0])).bytes for row in rows}
    arrived = (re.search(rb"(?mi)^Message-ID:\s*<([0-9a-f-]+)@", t.raw) for t in stage.sink.taken)
    return sum(UUID(found[1].decode()).bytes in waiting for found in arrived if found)


def _relay(stage: Stage, service: str) -> str:
    return str(stage.stores.rows(service, "SELECT holder FROM leases WHERE name = 'relay'")[0][0])


async def _keep(stage: Stage, out: Path, mode: Mode) -> Kept:
    """The databases and the log into files; what people, sink and caller know."""
    states = stage.stores.rows("push", "SELECT state, count(*) FROM deliveries GROUP BY state")
    kept = {
        "seed": stage.seed,
        "made_at": datetime.now(UTC).isoformat(),
        "public_url": stage.victim.url,
        "admin_key": stage.victim.admin_key,
        "settings": {name: stage.victim.settings.get(name) for name in _SECRETS},
        "campaign_id": stage.campaign_id,
        "people": len(stage.crowd.people),
        "verified": sorted(stage.crowd.verified),
        "left": sorted(stage.crowd.left),
        "recipients": sorted(stage.recipients),
        "read": len(stage.postbox.mails),
        "mails": [
            {"recipient": taken.recipient.decode(), "raw": b64encode(taken.raw).decode()}
            for taken in stage.sink.taken
        ],
        "unknown_bound": 2 * LANES * 16,
        "waiting": stage.stores.waiting() | {f"deliveries {state}": n for state, n in states},
    }
    if mode == "embedded":
        _pack(stage.embedded.data, out / "embedded.tar.xz")
    else:
        url, servers, prefix = stage.scaled._where
        _write(out / "scaled.sql.xz", _dump(url))
        lines = [json.dumps(record) for record in await _records(servers, prefix)]
        _write(out / "scaled.log.xz", "\n".join(lines).encode())
    return kept


def _pack(data: Path, target: Path) -> None:
    """The files as the kill left them, with what SQLite has not taken over from its log yet."""
    with tarfile.open(target, "w:xz", preset=9) as packed:
        for path in sorted(data.rglob("*")):
            if path.is_file() and not path.name.endswith(("-shm", "lock")):
                packed.add(path, str(path.relative_to(data)), filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _dump(url: str) -> bytes:
    words = ["pg_dump", "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=200", url]
    told = subprocess.run(words, capture_output=True, check=True).stdout
    # what only psql understands, and what later servers do not know
    return re.sub(
        rb"(?m)^(\\.*|SET (transaction_timeout|default_table_access_method).*)\n", b"", told
    )


async def _records(servers: str, prefix: str) -> list[list[Any]]:
    """Every record: topic, partition, number, key, headers, value."""
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[list[Any]] = []
    try:
        topics = {entry.event.topic for entry in CATALOGUE}
        places = [TopicPartition(prefix + t, n) for t in topics for n in range(PARTITIONS)]
        ends = await consumer.end_offsets(places)
        wanted = [place for place, end in ends.items() if end]
        consumer.assign(wanted)
        await consumer.seek_to_beginning(*wanted)
        while sum(ends.values()) > len(found):
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                found += [
                    [
                        *(place.topic.removeprefix(prefix), place.partition, record.offset),
                        record.key.decode() if record.key is not None else None,
                        [[name, value.decode()] for name, value in record.headers],
                        record.value.decode() if record.value is not None else None,
                    ]
                    for record in records
                ]
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: record[:3])


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(lzma.compress(content, preset=9))


if __name__ == "__main__":
    asyncio.run(make(sys.argv[1], Path(sys.argv[2])))  # type: ignore[arg-type]

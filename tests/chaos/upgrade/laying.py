"""The state of a release is laid out again: as a data directory, or as a database and topics."""

import json
import lzma
import tarfile
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.sinks.smtp import Taken
from services.shared.events.catalogue import PARTITIONS
from tests.chaos.case import Mode
from tests.chaos.scaled import ScaledVictim
from tests.chaos.victim import Victim

STATES = Path(__file__).parent / "states"
LAST = "3ecc5df"
"""The release whose state today's program has to take over."""

_AFTER = timedelta(seconds=60)
"""So long after it was killed the state is opened, whatever the calendar says by now."""


@dataclass(frozen=True)
class State:
    """What people, sink and caller of that release know (`making.make` says it)."""

    mode: Mode
    facts: dict[str, Any]

    @property
    def mails(self) -> list[Taken]:
        """What had arrived."""
        return [
            Taken(b"", mail["recipient"].encode(), b64decode(mail["raw"]))
            for mail in self.facts["mails"]
        ]

    @property
    def clock_offset(self) -> float:
        """How many seconds the program's clock is set off, for this to be a minute after the kill."""
        opened = datetime.fromisoformat(self.facts["made_at"]) + _AFTER
        return (opened - datetime.now(UTC)).total_seconds()


def load(mode: Mode) -> State:
    """The state of a mode."""
    return State(mode, json.loads(_content(f"{mode}.json.xz")))


def _content(name: str) -> str:
    return lzma.decompress((STATES / LAST / name).read_bytes()).decode()


def lay_directory(victim: Victim) -> None:
    """Fill the data directory of a system that has not begun yet."""
    victim.data.mkdir(mode=0o700, parents=True)
    with tarfile.open(STATES / LAST / "embedded.tar.xz") as packed:
        packed.extractall(victim.data, filter="data")


async def lay_database(victim: ScaledVictim, state: State) -> None:
    """Fill database and topics of a system that has not begun yet; it gets the secrets of then."""
    victim.settings.update(state.facts["settings"])
    connection = await asyncpg.connect(victim.settings["BAITWELL_DATABASE_URL"])
    try:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)'"
        for row in await connection.fetch(schemas):
            await connection.execute(f'DROP SCHEMA "{row[0]}" CASCADE')
        await connection.execute("CREATE SCHEMA public")
        await connection.execute(_content("scaled.sql.xz"))
    finally:
        await connection.close()
    records = [json.loads(line) for line in _content("scaled.log.xz").splitlines()]
    servers = victim.settings["BAITWELL_KAFKA_SERVERS"]
    await _lay_log(servers, victim.settings["BAITWELL_KAFKA_PREFIX"], records)


async def _lay_log(servers: str, prefix: str, records: list[list[Any]]) -> None:
    """Every record at its place: positions are kept in the database and have to fit."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        topics = sorted({record[0] for record in records})
        await admin.create_topics([NewTopic(prefix + topic, PARTITIONS, 1) for topic in topics])
    finally:
        await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = [
            await producer.send(
                prefix + topic,
                None if value is None else value.encode(),
                None if key is None else key.encode(),
                partition,
                headers=[(name, text.encode()) for name, text in headers],
            )
            for topic, partition, _, key, headers, value in records
        ]
        for place, record in zip(sent, records, strict=True):
            if (await place).offset != record[2]:
                raise ValueError(f"a record of {record[0]} is not at its place")
    finally:
        await producer.stop()

"""What the system's own databases say, read from outside and never written to."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any, NamedTuple

SERVICES = ("capture", "profile", "push", "metrics")
FILES = ("auth", "log", *SERVICES)

_OPEN = "('planned', 'held', 'claimed', 'sending')"


class Row(NamedTuple):
    """A delivery of the ledger."""

    id: str
    cause_kind: str
    cause_id: str
    campaign: str | None
    address: str | None
    state: str
    reason: str | None


class Stores:
    """The SQLite files of a data directory."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def rows(self, service: str, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query, read only, also while the system runs."""
        uri = f"file:{self._data / service}.sqlite?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()

    def damaged(self) -> list[str]:
        """The files whose integrity check says something."""
        return [
            name
            for name in FILES
            if [row[0] for row in self.rows(name, "PRAGMA integrity_check")] != ["ok"]
        ]

    def waiting(self) -> dict[str, int]:
        """What is not done yet, exactly as of now: nothing of it is left when the system is quiet."""
        found = {f"outbox of {name}": self._count(name, "outbox") for name in SERVICES}
        found |= {f"parked at {name}": self._count(name, "parked") for name in SERVICES}
        ends = self._ends()
        for name in SERVICES:
            for topic, position in self.rows(name, "SELECT topic, next FROM positions"):
                found[f"lag of {name} in {topic}"] = ends[topic] - int(position)
        return {name: count for name, count in (found | self._unfinished()).items() if count}

    def close(self) -> None:
        """Let go of what it held to ask."""

    def _unfinished(self) -> dict[str, int]:
        return {
            "deliveries": self._count("push", f"deliveries WHERE state IN {_OPEN}"),
            "engagements": self._count("metrics", "waiting_engagements"),
        }

    def _ends(self) -> dict[str, int]:
        """By topic, the number that the log's next record gets."""
        ends = {}
        for number, topic, known in self.rows("log", "SELECT number, name, next FROM topics"):
            last = self.rows("log", f"SELECT max(position) FROM records_{number}")[0][0]
            ends[topic] = max(int(known), int(last or 0) + 1)
        return ends

    def _count(self, service: str, what: str) -> int:
        return int(self.rows(service, f"SELECT count(*) FROM {what}")[0][0])

    def leads(self) -> dict[str, bool]:
        """Leads by id: whether they are verified."""
        found = self.rows("capture", "SELECT id, verified_at IS NOT NULL FROM leads")
        return {plain(id_): bool(verified) for id_, verified in found}

    def handled_leads(self) -> set[str]:
        """The leads that profile has acted on."""
        return {plain(row[0]) for row in self.rows("profile", "SELECT lead_id FROM handled_leads")}

    def profiles(self) -> dict[str, int]:
        """Profiles by id: how many leads each has."""
        found = self.rows("profile", "SELECT id, lead_count FROM profiles")
        return {plain(id_): int(count) for id_, count in found}

    def contacts(self) -> dict[str, tuple[str, str, bool]]:
        """Contacts by address: contact key, profile, verified."""
        query = "SELECT identity, contact_key, profile_id, verified_at IS NOT NULL FROM contacts"
        return {
            identity: (key, plain(profile), bool(verified))
            for identity, key, profile, verified in self.rows("profile", query)
        }

    def ledger(self) -> list[Row]:
        """Every delivery, with the address that its contact key stands for."""
        addresses = {key: identity for identity, (key, _, _) in self.contacts().items()}
        query = (
            "SELECT id, cause_kind, cause_id, campaign_id, contact_key, state, reason"
            " FROM deliveries"
        )
        return [
            Row(
                plain(id_),
                kind,
                plain(cause),
                campaign and plain(campaign),
                addresses.get(key),
                *state,
            )
            for id_, kind, cause, campaign, key, *state in self.rows("push", query)
        ]

    def suppressed(self) -> set[str]:
        """The contact keys that are not written to."""
        return {row[0] for row in self.rows("push", "SELECT contact_key FROM suppressions")}


def plain(id_: Any) -> str:
    """An id in one spelling, however it was written."""
    return str(id_).replace("-", "").lower()

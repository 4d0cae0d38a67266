"""What one transaction does to people: rows collected in memory, written table by table at the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import bindparam, delete, tuple_, update
from sqlmodel import Session

from services.profile.base import Row, portions, table_of
from services.profile.consent.models import ConsentEntry
from services.profile.leads.models import HandledLead, WaitingNote
from services.profile.people.models import MergeCandidate
from services.profile.people.person import CONSENTS, CONTACTS, FIELDS, PROFILES, TAGS, Person
from services.profile.timeline.models import EngagementFact, TimelineEntry
from services.profile.writing import insert_missing, insert_rows, upsert
from services.shared import correlation, outbox
from services.shared.database.arrays import among
from services.shared.events import Event, Message, message_of
from services.shared.events.profiles import ProfileChanged
from services.shared.ids import derived

ENTRIES, HANDLED = table_of(ConsentEntry), table_of(HandledLead)
WAITING, CANDIDATES = table_of(WaitingNote), table_of(MergeCandidate)
TIMELINE, ENGAGEMENT_FACTS = table_of(TimelineEntry), table_of(EngagementFact)

SOURCE = "profile"

_REVISED = ("revision", "language", "language_at", "timezone", "lead_count", "changed_at")


@dataclass(slots=True)
class Batch:
    """The work of one transaction. Nothing is written before `flush`, but contacts that had to be taken."""

    now: datetime
    people: dict[UUID, Person] = field(default_factory=dict)
    counted: set[UUID] = field(default_factory=set)
    verified: dict[str, datetime] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    values: list[Row] = field(default_factory=list)
    tags: list[Row] = field(default_factory=list)
    consents: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    effective: list[tuple[UUID, UUID]] = field(default_factory=list)
    timeline: list[Row] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)
    taken_back: list[tuple[UUID, str, UUID]] = field(default_factory=list)
    untold: list[tuple[UUID, UUID]] = field(default_factory=list)
    candidates: list[Row] = field(default_factory=list)
    handled: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    arrived: list[UUID] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    correlations: dict[UUID, str | None] = field(default_factory=dict)

    def say(
        self,
        kind: type[Event],
        event: Mapping[str, Any],
        event_id: UUID,
        key: UUID,
        correlation_id: str | None = None,
    ) -> None:
        """Let an event of `kind` leave with this transaction. `event` has every field that the kind has.

        No model is made of it: checking our own words costs as much as writing the rows.
        """
        token = correlation.bind(correlation_id or correlation.current())
        try:
            message = message_of(
                kind,
                to_json(event),
                event_id=event_id,
                key=str(key),
                occurred_at=self.now,
                source=SOURCE,
            )
        finally:
            correlation.unbind(token)
        self.messages.append(message)

    def flush(self, session: Session) -> None:
        """Write everything, and say the new state of every profile that changed."""
        self._write_people(session)
        upsert(session, FIELDS, self.values)
        insert_missing(session, TAGS, self.tags)
        upsert(session, CONSENTS, self.consents)
        insert_missing(session, ENTRIES, self.entries)
        insert_missing(session, TIMELINE, self.timeline)
        insert_missing(session, ENGAGEMENT_FACTS, self.facts)
        insert_missing(session, CANDIDATES, self.candidates)
        insert_rows(session, HANDLED, self.handled)
        insert_missing(session, WAITING, self.waiting)
        self._amend(session)
        outbox.put(session, self.messages, self.now)

    def _write_people(self, session: Session) -> None:
        new, known = [], []
        for person in self.people.values():
            if person.changed:
                self._revise(person)
            elif person.id not in self.counted:
                continue
            if person.new:
                new.append(person.profile)
            else:
                revised = {f"new_{name}": person.profile[name] for name in _REVISED}
                known.append({"of_id": person.id, **revised})
        insert_rows(session, PROFILES, new)
        if known:
            session.connection().execute(
                update(PROFILES)
                .where(PROFILES.c.id == bindparam("of_id"))
                .values({name: bindparam(f"new_{name}") for name in _REVISED}),
                known,
            )

    def _revise(self, person: Person) -> None:
        person.settle_zone()
        profile = person.profile
        profile["revision"] += 1
        profile["changed_at"] = self.now
        self.say(
            ProfileChanged,
            {"state": person.state()},
            derived("profile.changed", person.id, profile["revision"]),
            person.id,
            self.correlations.get(person.id),
        )

    def _amend(self, session: Session) -> None:
        connection = session.connection()
        for column, values in (("verified_at", self.verified), ("provenance", self.provenance)):
            if values:
                connection.execute(
                    update(CONTACTS)
                    .where(CONTACTS.c.contact_key == bindparam("of_key"))
                    .values({column: bindparam("new_value")}),
                    [{"of_key": key, "new_value": values[key]} for key in sorted(values)],
                )
        for rows in portions(self.effective):
            key = tuple_(ENTRIES.c.profile_id, ENTRIES.c.id)
            connection.execute(update(ENTRIES).where(key.in_(rows)).values(effective=True))
        for facts in portions(self.taken_back):
            columns = ENGAGEMENT_FACTS.c
            fact_key = tuple_(columns.profile_id, columns.kind, columns.fact_id)
            connection.execute(delete(ENGAGEMENT_FACTS).where(fact_key.in_(facts)))
        for told in portions(self.untold):
            entry_key = tuple_(TIMELINE.c.profile_id, TIMELINE.c.event_id)
            connection.execute(delete(TIMELINE).where(entry_key.in_(told)))
        for ids in portions(self.arrived):
            connection.execute(delete(WAITING).where(among(session, WAITING.c.event_id, ids)))

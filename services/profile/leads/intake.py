"""Takes in what others tell about people: one call is one batch of events in one transaction.

A lead finds or makes its profile and leaves contacts, values, tags, consents and an entry; everything
else becomes a note on a person's timeline. A note about a contact that nobody has yet waits for its lead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlmodel import Session

from services.profile.base import portions, table_of
from services.profile.consent import rules
from services.profile.consent.rules import MARKETING, Saying
from services.profile.leads import owners as contact_owners
from services.profile.leads.batch import ENTRIES, HANDLED, WAITING, Batch
from services.profile.leads.content import take_lead
from services.profile.leads.owners import Lead, Owners
from services.profile.people.models import Word
from services.profile.people.person import CONTACTS, PROFILES, load
from services.profile.timeline.notes import Note, Retraction, note_of, retraction_of
from services.profile.writing import insert_missing
from services.shared.clock import Clock
from services.shared.database.arrays import among
from services.shared.events import Received
from services.shared.events.leads import LeadSubmitted
from services.shared.ids import derived

WORDS = table_of(Word)

VERIFIED = "lead.verified"
UNSUBSCRIBED = "engagement.unsubscribed"
_NEEDS_PERSON = frozenset({VERIFIED, UNSUBSCRIBED})
_WORD_CACHE = 20_000
_AT_ONCE = 500


class Intake:
    """The handlers of profile's consumer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._words: set[tuple[str, str]] = set()

    def handle(self, session: Session, events: Sequence[Received[Any]]) -> None:
        """Act on a batch of events, each at most once however often it comes."""
        leads = _fresh(session, [r for r in events if isinstance(r.event, LeadSubmitted)])
        notes = [note for r in events if (note := note_of(r)) is not None]
        self._apply(session, leads, notes)
        wrong = [taken for r in events if (taken := retraction_of(r)) is not None]
        if wrong:
            _take_back(session, wrong, self._clock.now())

    def drain(self, session: Session, limit: int = _AT_ONCE) -> int:
        """Apply notes that wait although their contact is known by now; how many there were.

        Two processes can pass each other: one notes, the other makes the contact.
        """
        ready = passed(session, limit)
        if ready:
            self._apply(session, [], ready)
        return len(ready)

    def _apply(self, session: Session, leads: Sequence[Lead], notes: Sequence[Note]) -> None:
        keys = [note.contact_key for note in notes if note.contact_key]
        likely = {note.profile_id for note in notes if note.contact_key and note.profile_id}
        owners = contact_owners.take(session, leads, keys, likely)
        notes = [*notes, *_waiting(session, leads)]
        batch = Batch(self._clock.now())
        owner = _owners_of_notes(session, owners, notes)
        needed = {owners.target[lead.event.lead_id] for lead in leads} - owners.new_people
        needed |= {
            owner[n.event_id] for n in notes if n.kind in _NEEDS_PERSON and n.event_id in owner
        }
        batch.people = load(session, needed - owners.new_people)
        for lead in leads:
            take_lead(batch, owners, lead)
        self._note(session, batch, notes, owner)
        self._keep_words(session, leads)
        batch.flush(session)

    def _note(
        self, session: Session, batch: Batch, notes: Sequence[Note], owner: dict[UUID, UUID]
    ) -> None:
        known_leads = _known_leads(session, batch, notes)
        said = _said_before(session, notes, owner)
        pending = _pending(session, batch, notes)
        for note in notes:
            profile_id = owner.get(note.event_id)
            waits = profile_id is None or (
                note.kind == VERIFIED and note.lead_id not in known_leads
            )
            if waits and note.contact_key:
                batch.waiting.append(
                    {
                        "event_id": note.event_id,
                        "contact_key": note.contact_key,
                        "note": note.as_document(),
                        "arrived_at": batch.now,
                    }
                )
            elif not waits:
                batch.arrived.append(note.event_id)
            if profile_id is None:
                continue
            batch.timeline.append(note.timeline_row(profile_id))
            _add_fact(batch, note, profile_id)
            if note.kind == VERIFIED:
                _verify(batch, note, profile_id, pending)
            elif note.kind == UNSUBSCRIBED and note.event_id not in said:
                _unsubscribe(batch, note, profile_id)

    def _keep_words(self, session: Session, leads: Sequence[Lead]) -> None:
        met: dict[tuple[str, str], str] = {}
        for lead in leads:
            event = lead.event
            met[("bait", event.bait_slug)] = str(event.bait_id)
            met.update({("field", name): kind for name, kind in event.field_types.items()})
            met.update({("tag", tag): "" for tag in event.tags})
        new = [word for word in met if word not in self._words]
        if not new:
            return
        for portion in portions(new):
            rows = session.execute(
                select(WORDS.c.kind, WORDS.c.word).where(
                    tuple_(WORDS.c.kind, WORDS.c.word).in_(portion)
                )
            )
            if len(self._words) > _WORD_CACHE:
                self._words.clear()
            self._words.update((row.kind, row.word) for row in rows)
        insert_missing(
            session,
            WORDS,
            [
                {"kind": kind, "word": word, "detail": met[(kind, word)]}
                for kind, word in new
                if (kind, word) not in self._words
            ],
        )


def _fresh(session: Session, leads: Sequence[Lead]) -> list[Lead]:
    """The leads that were not handled yet, each once."""
    once = {lead.event.lead_id: lead for lead in reversed(leads)}
    handled = _handled(session, list(once))
    return [lead for lead in reversed(once.values()) if lead.event.lead_id not in handled]


def _handled(session: Session, lead_ids: Sequence[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    for portion in portions(lead_ids):
        found.update(
            session.execute(
                select(HANDLED.c.lead_id).where(among(session, HANDLED.c.lead_id, portion))
            ).scalars()
        )
    return found


def _waiting(session: Session, leads: Sequence[Lead]) -> list[Note]:
    """What came before these leads about their contacts."""
    if not leads or session.execute(select(WAITING.c.event_id).limit(1)).first() is None:
        return []
    keys = {part.contact_key for lead in leads for part in lead.event.contacts}
    notes = []
    for portion in portions(sorted(keys)):
        rows = session.execute(
            select(WAITING).where(among(session, WAITING.c.contact_key, portion))
        )
        notes += [Note.from_document(row.event_id, row.contact_key, row.note) for row in rows]
    return sorted(notes, key=lambda note: note.at)


def passed(session: Session, limit: int = _AT_ONCE) -> list[Note]:
    """Notes that wait although their contact is known. All that wait are looked through: not for the loop."""
    rows = session.execute(
        select(WAITING)
        .join(CONTACTS, CONTACTS.c.contact_key == WAITING.c.contact_key)
        .order_by(WAITING.c.arrived_at)
        .limit(limit)
    ).all()
    return _whose_lead_came(
        session, [Note.from_document(row.event_id, row.contact_key, row.note) for row in rows]
    )


def _whose_lead_came(session: Session, notes: Sequence[Note]) -> list[Note]:
    """Without those that wait for their lead, not for their contact."""
    wanted = [note.lead_id for note in notes if note.kind == VERIFIED and note.lead_id]
    handled = _handled(session, wanted)
    return [note for note in notes if note.kind != VERIFIED or note.lead_id in handled]


def _owners_of_notes(session: Session, owners: Owners, notes: Sequence[Note]) -> dict[UUID, UUID]:
    """Event → profile: whose the contact is now, else the profile that the event names."""
    found: dict[UUID, UUID] = {}
    named: dict[UUID, UUID] = {}
    for note in notes:
        profile_id = owners.profile_of.get(note.contact_key or "")
        if profile_id is not None:
            found[note.event_id] = profile_id
        elif note.profile_id is not None:
            named[note.event_id] = note.profile_id
    for portion in portions(set(named.values())):
        there = set(
            session.execute(
                select(PROFILES.c.id).where(among(session, PROFILES.c.id, portion))
            ).scalars()
        )
        found.update({event: profile for event, profile in named.items() if profile in there})
    return found


def _known_leads(session: Session, batch: Batch, notes: Sequence[Note]) -> set[UUID]:
    here = {row["lead_id"] for row in batch.handled}
    asked = {note.lead_id for note in notes if note.kind == VERIFIED and note.lead_id}
    return here | _handled(session, list(asked - here))


def _said_before(session: Session, notes: Sequence[Note], owner: dict[UUID, UUID]) -> set[UUID]:
    """The unsubscribes that are in the ledger already: one that comes again withdraws nothing anew."""
    pairs = [
        (owner[note.event_id], note.event_id)
        for note in notes
        if note.kind == UNSUBSCRIBED and note.event_id in owner
    ]
    found: set[UUID] = set()
    for portion in portions(pairs):
        key = tuple_(ENTRIES.c.profile_id, ENTRIES.c.id)
        found.update(session.execute(select(ENTRIES.c.id).where(key.in_(portion))).scalars())
    return found


def _pending(session: Session, batch: Batch, notes: Sequence[Note]) -> dict[UUID, list[Any]]:
    """Lead → typed consents that wait for it to be verified."""
    leads = {note.lead_id for note in notes if note.kind == VERIFIED and note.lead_id}
    found: dict[UUID, list[Any]] = {}
    for portion in portions(leads):
        rows = session.execute(
            select(ENTRIES).where(among(session, ENTRIES.c.lead_id, portion), ~ENTRIES.c.effective)
        )
        for row in rows.mappings():
            found.setdefault(row["lead_id"], []).append(dict(row))
    for entry in batch.entries:
        if not entry["effective"] and entry["lead_id"] in leads:
            found.setdefault(entry["lead_id"], []).append(entry)
    return found


def _verify(batch: Batch, note: Note, profile_id: UUID, pending: dict[UUID, list[Any]]) -> None:
    person = batch.people[profile_id]
    contact = person.contacts.get(note.contact_key or "")
    if contact is not None and contact["verified_at"] is None:
        contact["verified_at"] = note.at
        batch.verified[contact["contact_key"]] = note.at
        person.changed = True
    for entry in pending.pop(note.lead_id, ()) if note.lead_id else ():
        names = ("purpose", "channel", "given", "text_version", "source", "contact_key", "proof")
        saying = Saying(id=entry["id"], at=note.at, **{name: entry[name] for name in names})
        rows = rules.confirmed(person, saying, note.at)
        if rows:
            batch.consents += rows
            batch.effective.append((profile_id, entry["id"]))
            if contact is not None:
                # push brings back who had left only by a verification that is not older than the consent
                contact["verified_at"] = batch.verified[contact["contact_key"]] = note.at


def _unsubscribe(batch: Batch, note: Note, profile_id: UUID) -> None:
    person = batch.people[profile_id]
    contact = person.contacts.get(note.contact_key or "")
    named = note.document.get("channel") or (contact["channel"] if contact else None)
    own_key = note.contact_key or ""
    for number, channel in enumerate([named] if named else person.channels()):
        saying = Saying(
            id=derived("consent", note.event_id, channel) if number else note.event_id,
            purpose=MARKETING,
            channel=channel,
            given=False,
            text_version="",
            at=note.at,
            source=f"unsubscribe:{note.document.get('way', 'reported')}",
            contact_key=own_key if contact and contact["channel"] == channel else "",
            proof=dict(note.document),
        )
        rows = rules.withdrawn(person, saying)
        batch.consents += rows
        batch.entries.append(saying.entry(profile_id, effective=bool(rows)))


def _take_back(session: Session, wrong: Sequence[Retraction], now: datetime) -> None:
    """Take what was told wrongly off timelines, out of what segments ask, and from what waits."""
    batch = Batch(now)
    profile_of = contact_owners.find(session, [one.contact_key for one in wrong if one.contact_key])
    for one in wrong:
        batch.arrived.append(one.event_id)
        profile_id = profile_of.get(one.contact_key or "") or one.profile_id
        if profile_id is not None:
            batch.untold.append((profile_id, one.event_id))
            batch.taken_back.append((profile_id, one.kind, one.event_id))
    batch.flush(session)


def _add_fact(batch: Batch, note: Note, profile_id: UUID) -> None:
    row = note.fact_row(profile_id)
    if row is None:
        return
    if note.refund:
        batch.taken_back.append((profile_id, row["kind"], note.fact_id))
    else:
        batch.facts.append(row)

"""Operators record what people said outside of forms."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session

from services.profile.base import Row
from services.profile.consent import rules
from services.profile.consent.rules import ANY_CONTACT, Saying
from services.profile.consent.schemas import NewSaying, Recorded
from services.profile.leads.batch import Batch
from services.profile.people.person import Person, load
from services.profile.people.schemas import ConsentProof
from services.profile.people.service import NoSuchPerson, person_state
from services.shared.clock import Clock
from services.shared.database import Database
from services.shared.errors import FieldError, Invalid
from services.shared.events.parts import RECORDED
from services.shared.ids import Ids

KIND = {True: "consent.given", False: "consent.withdrawn"}
"""What the timeline calls it."""


@dataclass(frozen=True)
class Consents:
    """The consents of people."""

    database: Database
    clock: Clock
    ids: Ids

    async def record(self, profile_id: UUID, new: NewSaying, recorded_by: str) -> Recorded:
        """Record a saying. Raises `NoSuchPerson`, and `Invalid` for a contact of somebody else."""
        now = self.clock.now()
        if new.at is not None and new.at > now:
            raise Invalid(fields=(FieldError("at", "out_of_range"),))
        saying = Saying(
            id=self.ids.new(),
            purpose=new.purpose,
            channel=new.channel.value,
            given=new.given,
            text_version=new.text_version,
            at=new.at or now,
            source=RECORDED,
            contact_key=new.contact_key or ANY_CONTACT,
            proof={"provenance": new.provenance, "recorded_by": recorded_by[:200]},
        )

        def work(session: Session) -> Recorded:
            person = load(session, [profile_id]).get(profile_id)
            if person is None:
                raise NoSuchPerson
            batch = Batch(now, people={profile_id: person})
            entry = self._apply(batch, person, saying)
            batch.flush(session)
            state = person_state(session, profile_id)
            return Recorded(entry=ConsentProof.model_validate(entry), consents=state.consents)

        return await self.database.transaction(work)

    def _apply(self, batch: Batch, person: Person, saying: Saying) -> Row:
        if saying.contact_key and saying.contact_key not in person.contacts:
            raise Invalid(fields=(FieldError("contact_key", "no_such_thing"),))
        rows = rules.recorded(person, saying)
        batch.consents += rows
        entry = saying.entry(person.id, effective=bool(rows))
        batch.entries.append(entry)
        if saying.given and rows:
            _give_provenance(batch, person, saying)
        batch.timeline.append(
            {
                "profile_id": person.id,
                "event_id": saying.id,
                "at": saying.at,
                "kind": KIND[saying.given],
                "document": {
                    "purpose": saying.purpose,
                    "channel": saying.channel,
                    "source": saying.source,
                    **saying.proof,
                },
            }
        )
        return entry | {"contact_key": saying.contact_key or None}


def _give_provenance(batch: Batch, person: Person, saying: Saying) -> None:
    for key, contact in person.contacts.items():
        meant = key == saying.contact_key or not saying.contact_key
        if meant and contact["channel"] == saying.channel:
            contact["provenance"] = saying.proof["provenance"]
            batch.provenance[key] = contact["provenance"]
            person.changed = True

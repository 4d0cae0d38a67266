"""People: found by contact, shown, listed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlmodel import Session

from services.profile.base import Row
from services.profile.people import repository
from services.profile.people.repository import Filter
from services.profile.people.schemas import (
    ContactQuery,
    PersonLine,
    PersonList,
    PersonState,
    Timeline,
    TimelineItem,
)
from services.shared.contact import BadAddress, ContactKeys, parse_contact
from services.shared.database import Database
from services.shared.database.cursors import cursor_of
from services.shared.errors import FieldError, Invalid, NotFound


class NoSuchPerson(NotFound):
    titles = ("没有这个人", "There is no such person")


@dataclass(frozen=True)
class People:
    """The people of this installation."""

    database: Database
    contact_keys: ContactKeys

    def key_of(self, query: ContactQuery) -> str:
        """The contact key of what somebody typed. Raises `Invalid`."""
        try:
            contact = parse_contact(query.channel, query.address, account=query.account)
        except BadAddress as error:
            raise Invalid(fields=(FieldError("address", error.reason),)) from error
        return self.contact_keys.contact_key(contact)

    async def look_up(self, query: ContactQuery) -> PersonState:
        """The person with this contact. Raises `Invalid`, `NoSuchPerson`."""
        key = self.key_of(query)

        def work(session: Session) -> PersonState:
            profile_id = repository.owner(session, key)
            if profile_id is None:
                raise NoSuchPerson
            return person_state(session, profile_id)

        return await self.database.read(work)

    async def show(self, profile_id: UUID) -> PersonState:
        """Raises `NoSuchPerson`."""
        return await self.database.read(lambda s: person_state(s, profile_id))

    async def page(self, chosen: Filter, after: UUID | None, limit: int) -> PersonList:
        """A page of people, who came last first."""

        def work(session: Session) -> PersonList:
            ids = repository.page_of_ids(session, chosen, after, limit + 1)
            items = [_line(row) for row in repository.lines(session, ids[:limit])]
            return PersonList(items=items, next=ids[limit - 1] if len(ids) > limit else None)

        return await self.database.scan(work)

    async def timeline(self, profile_id: UUID, cursor: str | None, limit: int) -> Timeline:
        """What happened with a person, newest first. Raises `NoSuchPerson`, `Invalid`."""

        def work(session: Session) -> Timeline:
            if not repository.exists(session, profile_id):
                raise NoSuchPerson
            return timeline_page(session, profile_id, cursor, limit)

        return await self.database.read(work)


def person_state(session: Session, profile_id: UUID) -> PersonState:
    """A person as the API shows them. Raises `NoSuchPerson`."""
    found = repository.whole(session, profile_id)
    if found is None:
        raise NoSuchPerson
    for name in ("consents", "consent_proofs"):
        found[name] = [_without_blank_key(row) for row in found[name]]
    return PersonState.model_validate(found)


def timeline_page(session: Session, profile_id: UUID, cursor: str | None, limit: int) -> Timeline:
    """A page of a timeline."""
    rows = repository.timeline(session, profile_id, cursor, limit + 1)
    items = [
        TimelineItem(id=r["event_id"], at=r["at"], kind=r["kind"], details=r["document"])
        for r in rows[:limit]
    ]
    last = items[-1] if len(rows) > limit else None
    return Timeline(items=items, next=last and cursor_of(last.at, last.id))


def _without_blank_key(row: Row) -> Row:
    return row | {"contact_key": row["contact_key"] or None}


def _line(row: dict[str, Any]) -> PersonLine:
    return PersonLine.model_validate(row)

"""Requests by API: straight into the ledger, each cause and contact once."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from services.push.deliveries.planning import Wish, plan
from services.push.reach import repository as reach
from services.push.requests import repository
from services.push.requests.schemas import MessageIn, MessageOut, ToIn
from services.push.templates.models import Template
from services.shared.clock import Clock
from services.shared.contact import BadAddress, Contact, ContactKeys, parse_contact
from services.shared.database import Database
from services.shared.errors import FieldError, Invalid
from services.shared.ids import Ids

_CONTACT_OF = {"email": "email"}
"""The kind of contact that a channel sends to; others (webhook) take any."""


class _Target(NamedTuple):
    profile_id: UUID | None
    contact_key: str
    language: str | None
    contact: Contact | None


@dataclass(frozen=True)
class RequestDesk:
    """Takes requests. What it answers is durable."""

    database: Database
    clock: Clock
    ids: Ids
    contact_keys: ContactKeys

    async def accept(self, asked: MessageIn) -> MessageOut:
        """Plan one message. Raises `Invalid`."""
        typed = _read(asked.contact) if asked.contact else None
        return await self.database.transaction(lambda session: self._accept(session, asked, typed))

    def _accept(self, session: Session, asked: MessageIn, typed: Contact | None) -> MessageOut:
        template = session.get(Template, asked.template_id)
        if template is None:
            raise Invalid(fields=(FieldError("template_id", "no_such_thing"),))
        kind = _CONTACT_OF.get(template.channel)
        if typed is not None and kind is not None and typed.channel.value != kind:
            raise Invalid(fields=(FieldError("contact.channel", "not_choice"),))
        target = self._target(session, asked, typed, kind)
        wish = Wish(
            cause_kind="api",
            cause_id=asked.cause_id,
            contact_key=target.contact_key,
            channel=template.channel,
            language=asked.language or target.language or "zh-CN",
            marketing=template.kind == "marketing",
            template_version_id=template.version_id,
            values={name: str(value) for name, value in asked.values.items()},
            profile_id=target.profile_id,
            address=target.contact.address if target.contact and not target.profile_id else None,
            abuse_key=self.contact_keys.abuse_key(target.contact) if target.contact else None,
        )
        made = plan(session, [wish], self.ids, self.clock.now())
        if target.contact_key in made:
            return MessageOut(delivery_id=made[target.contact_key], new=True)
        known = repository.delivery_of(
            session, asked.cause_id, target.contact_key, target.profile_id
        )
        assert known is not None
        return MessageOut(delivery_id=known, new=False)

    def _target(
        self, session: Session, asked: MessageIn, typed: Contact | None, kind: str | None
    ) -> _Target:
        if typed is not None:
            key = self.contact_keys.contact_key(typed)
            return _Target(reach.profile_of(session, key), key, None, typed)
        assert asked.profile_id is not None
        found = reach.reachable(session, [asked.profile_id], kind).get(asked.profile_id)
        if found is None:
            raise Invalid(fields=(FieldError("profile_id", "no_such_thing"),))
        return _Target(found.profile_id, found.contact_key, found.language, None)


def _read(to: ToIn) -> Contact:
    try:
        return parse_contact(to.channel, to.address, account=to.account)
    except BadAddress as error:
        raise Invalid(fields=(FieldError("contact.address", error.reason),)) from error

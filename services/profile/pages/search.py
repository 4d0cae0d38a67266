"""Finding a person by whatever contact an operator has at hand."""

from uuid import UUID

from sqlmodel import Session

from services.profile.leads import owners
from services.shared.contact import BadAddress, Channel, ContactKeys, parse_contact
from services.shared.database import Database

_TRIED = (Channel.EMAIL, Channel.PHONE, Channel.QQ, Channel.WECHAT_ID)


async def find(database: Database, keys: ContactKeys, typed: str) -> UUID | None:
    """The person with this contact, whichever channel it is of."""
    wanted = []
    for channel in _TRIED:
        try:
            wanted.append(keys.contact_key(parse_contact(channel, typed)))
        except BadAddress:
            continue

    def work(session: Session) -> UUID | None:
        found = owners.find(session, wanted)
        return next((found[key] for key in wanted if key in found), None)

    return await database.read(work) if wanted else None

"""Push's view of who may be reached, made anew from `profiles`."""

from sqlalchemy import func, select, update
from sqlmodel import Session

from services.push.reach.repository import CONTACTS, PROFILES
from services.shared.events.profiles import ProfileChanged
from services.shared.runner import positions


def begin_anew(session: Session, consumer: str) -> int:
    """Forget who agreed and set `consumer` back to the oldest state; how many people were known.

    Ids stay, with who was erased and whom they were merged into: no state of before brings anybody
    back. While push reads the states again its view counts as too old, and marketing waits. What was
    asked for does not wait: each contact stays until its person's state takes its place.
    """
    known = session.execute(select(func.count()).select_from(PROFILES)).scalar_one()
    session.execute(update(CONTACTS).values(marketing=None, agreed_at=None))
    session.execute(update(PROFILES).where(PROFILES.c.erased_at.is_(None)).values(revision=-1))
    positions.forget(session, consumer, (ProfileChanged.topic,))
    return int(known)

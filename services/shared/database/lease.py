"""Leases: a row that one holder has until a time, by the database's clock."""

from datetime import datetime, timedelta

from sqlalchemy import String, and_, column, delete, or_, table, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session

from services.shared.clock import Clock
from services.shared.database import driver
from services.shared.database.types import Moment

LEASES = table("leases", column("name", String), column("holder", String), column("until", Moment))


def database_now(session: Session, clock: Clock) -> datetime:
    """The time by which leases are judged: PostgreSQL's own; for SQLite, which is one process, ours."""
    if session.get_bind().dialect.name == "postgresql":
        ((moment,),) = driver.fetch(session.connection(), "SELECT clock_timestamp()", ())
        assert isinstance(moment, datetime)
        return moment
    return clock.now()


def acquire(session: Session, name: str, holder: str, span: timedelta, clock: Clock) -> bool:
    """Take or renew a lease. False: somebody else has it."""
    now = database_now(session, clock)
    until = now + span
    taken = session.execute(
        update(LEASES)
        .where(
            and_(LEASES.c.name == name, or_(LEASES.c.holder == holder, LEASES.c.until < now)),
        )
        .values(holder=holder, until=until)
    )
    if taken.rowcount:  # type: ignore[attr-defined]  # a CursorResult
        return True
    dialect = session.get_bind().dialect.name
    insert = insert_postgresql if dialect == "postgresql" else insert_sqlite
    made = session.execute(
        insert(LEASES).values(name=name, holder=holder, until=until).on_conflict_do_nothing()
    )
    return bool(made.rowcount)  # type: ignore[attr-defined]  # a CursorResult


def release(session: Session, name: str, holder: str) -> None:
    """Give a lease back, if it is still ours."""
    session.execute(delete(LEASES).where(and_(LEASES.c.name == name, LEASES.c.holder == holder)))

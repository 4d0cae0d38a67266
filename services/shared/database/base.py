"""What every service may ask of its database.

A unit of work is a plain function of a SQLModel `Session`. The port decides where it runs: on PostgreSQL
in a greenlet, which the driver leaves and enters, on SQLite in the loop thread. It must be short, must not wait for
anything but the database, and may run again from its start when the database asks for that (a deadlock).
"""

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

from sqlmodel import Session

T = TypeVar("T")
Work = Callable[[Session], T]
Dialect = Literal["sqlite", "postgresql"]

WAKE = "wake"
"""Key of `session.info`: set by work that others wait for (an outbox row); listeners run after commit."""


def dialect_of(session: Session) -> Dialect:
    """Which of the two databases a session speaks to."""
    return "postgresql" if session.get_bind().dialect.name == "postgresql" else "sqlite"


class Database(Protocol):
    """One service's own database."""

    @property
    def dialect(self) -> Dialect: ...

    async def transaction(self, work: Work[T]) -> T:
        """Run `work` and commit; durable when this returns. An exception rolls back and passes on.

        Raises `DatabaseUnavailable` when the database is away or full: nothing was committed, or, if
        the connection broke during the commit, nobody can know.
        """
        ...

    async def read(self, work: Work[T]) -> T:
        """Run `work`, which only reads and stays under 5 ms (an index is used)."""
        ...

    async def scan(self, work: Work[T], *, seconds: float = 10.0) -> T:
        """Run `work`, which only reads and may take long: beside the loop, stopped after `seconds`.

        Raises `DatabaseUnavailable` when it was stopped.
        """
        ...

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each commit of work that set `session.info[WAKE]`."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...

"""Where a consumer stands, kept in its own database and moved only by compare-and-set."""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    and_,
    column,
    delete,
    insert,
    select,
    table,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from services.shared.bus import Bus, Partition
from services.shared.database import Database, driver

POSITIONS = table(
    "positions",
    column("consumer", String),
    column("topic", String),
    column("partition", Integer),
    column("next", BigInteger),
)


class PositionMoved(Exception):
    """Somebody else has handled these records: roll back and look the position up again."""


def stored(session: Session, consumer: str, topics: Sequence[str]) -> dict[Partition, int]:
    """The stored positions of a consumer."""
    rows = session.execute(
        select(POSITIONS.c.topic, POSITIONS.c.partition, POSITIONS.c.next).where(
            and_(POSITIONS.c.consumer == consumer, POSITIONS.c.topic.in_(topics))
        )
    )
    return {Partition(topic, number): next_ for topic, number, next_ in rows}


def move(
    session: Session, consumer: str, partition: Partition, expected: int | None, to: int
) -> None:
    """Move a position in the session's transaction. `expected` None: there is none yet.

    Raises `PositionMoved`.
    """
    if expected is None:
        try:
            session.execute(
                insert(POSITIONS).values(
                    consumer=consumer, topic=partition.topic, partition=partition.number, next=to
                )
            )
        except IntegrityError as error:
            raise PositionMoved(partition) from error
        return
    result = session.execute(
        update(POSITIONS)
        .where(
            and_(
                POSITIONS.c.consumer == consumer,
                POSITIONS.c.topic == partition.topic,
                POSITIONS.c.partition == partition.number,
                POSITIONS.c.next == expected,
            )
        )
        .values(next=to)
    )
    if result.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult
        raise PositionMoved(partition)


def move_all(
    session: Session, consumer: str, moves: Sequence[tuple[Partition, int | None, int]]
) -> None:
    """Move positions of several partitions, each (partition, expected, to) as `move` does.

    Raises `PositionMoved` for one of them.
    """
    known = [one for one in moves if one[1] is not None]
    at_once = len(known) > 1 and session.get_bind().dialect.name == "postgresql"
    for partition, expected, to in moves:
        if not at_once or expected is None:
            move(session, consumer, partition, expected, to)
    if not at_once:
        return
    # in one order, so that two who hold the same partitions do not wait for each other
    known.sort()
    topics, numbers = zip(*(partition for partition, _, _ in known), strict=True)
    given = (topics, numbers, [one[1] for one in known], [one[2] for one in known])
    moved = driver.fetch(session.connection(), _MOVE_ALL, (consumer, *map(list, given)))
    done = {Partition(topic, number) for topic, number in moved}
    for partition, _, _ in known:
        if partition not in done:
            raise PositionMoved(partition)


_MOVE_ALL = """
UPDATE positions SET next = given.next
FROM unnest($2::varchar[], $3::int[], $4::bigint[], $5::bigint[]) AS given(topic, partition, expected, next)
WHERE positions.consumer = $1 AND positions.topic = given.topic
  AND positions.partition = given.partition AND positions.next = given.expected
RETURNING positions.topic, positions.partition
"""


def forget(session: Session, consumer: str, topics: Sequence[str]) -> None:
    """Set a consumer back to the oldest records of these topics."""
    session.execute(
        delete(POSITIONS).where(
            and_(POSITIONS.c.consumer == consumer, POSITIONS.c.topic.in_(topics))
        )
    )


async def lag(
    database: Database, bus: Bus, consumer: str, topics: Sequence[str]
) -> dict[Partition, int]:
    """How many records each partition is ahead of the stored positions. Raises `BusUnavailable`."""
    ends = await bus.ends(topics)
    begins = await bus.beginnings(topics)
    at = await database.read(lambda session: stored(session, consumer, topics))
    return {
        partition: max(0, end - max(at.get(partition, 0), begins.get(partition, 0)))
        for partition, end in ends.items()
    }

"""Every query on stored files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import Session, col, select

from services.capture.files.models import Resource, ResourcePiece


def size(session: Session, sha256: str) -> int | None:
    """The length in bytes of a stored file; None when it is not there whole."""
    found = session.get(Resource, sha256)
    return found.size if found is not None and found.complete else None


def begin(session: Session, sha256: str, length: int, now: datetime) -> bool:
    """Begin to store a file; False when it is stored already."""
    if size(session, sha256) is not None:
        return False
    insert = _insert(session)
    row = {"sha256": sha256, "size": length, "complete": False, "created_at": now}
    # an upload that ended in the middle begins anew, and is young again for the cleaner
    session.execute(
        insert(Resource)
        .values(row)
        .on_conflict_do_update(index_elements=["sha256"], set_={"created_at": now})
    )
    return True


def add_piece(session: Session, sha256: str, number: int, data: bytes) -> None:
    """Store a piece; the same one twice is no matter: its content follows from the file's name."""
    insert = _insert(session)
    session.execute(
        insert(ResourcePiece)
        .values(sha256=sha256, number=number, data=data)
        .on_conflict_do_nothing()
    )


def finish(session: Session, sha256: str) -> None:
    """All pieces are there."""
    session.execute(update(Resource).where(col(Resource.sha256) == sha256).values(complete=True))


def piece(session: Session, sha256: str, number: int) -> bytes | None:
    """A piece of a file; None behind its end."""
    return session.exec(
        select(ResourcePiece.data).where(
            ResourcePiece.sha256 == sha256, ResourcePiece.number == number
        )
    ).first()


def drop_unfinished(session: Session, before: datetime) -> Sequence[str]:
    """Forget uploads that ended in the middle before that time."""
    found = session.exec(
        select(Resource.sha256)
        .where(col(Resource.complete).is_(False), col(Resource.created_at) < before)
        .limit(20)
    ).all()
    if found:
        session.execute(delete(ResourcePiece).where(col(ResourcePiece.sha256).in_(found)))
        session.execute(delete(Resource).where(col(Resource.sha256).in_(found)))
    return found


def _insert(session: Session) -> Any:
    dialect = session.get_bind().dialect.name
    return insert_postgresql if dialect == "postgresql" else insert_sqlite
